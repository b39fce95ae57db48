# SPDX-License-Identifier: Apache-2.0
"""The paper's ablation table at a scale that runs anywhere: rows as data, trained alike, scored alike."""
