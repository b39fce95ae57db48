# SPDX-License-Identifier: Apache-2.0
"""Opening files of unknown origin: bounded, in a child process where USD itself parses."""
