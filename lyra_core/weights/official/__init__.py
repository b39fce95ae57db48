# SPDX-License-Identifier: Apache-2.0
"""The released files: what they are called, and how their content becomes ours."""
