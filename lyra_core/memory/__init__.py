# SPDX-License-Identifier: Apache-2.0
"""What a model needs in memory, which plan fits, and how a plan is carried out."""
