# SPDX-License-Identifier: Apache-2.0
"""The one exception family of the extension."""


class LyraSimError(Exception):
    """A failure the user can act on: the message says what was wrong, where, and what to do."""
