# SPDX-License-Identifier: Apache-2.0
"""Schema findings about a finished file."""
