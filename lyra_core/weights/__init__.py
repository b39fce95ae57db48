# SPDX-License-Identifier: Apache-2.0
"""Names to verified local files: presets (YAML), the embedded safetensors and their manifest."""
