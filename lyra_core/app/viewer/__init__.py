# SPDX-License-Identifier: Apache-2.0
"""`lyra view`: a scene in a browser, to look at, to measure and to put upright."""
