# SPDX-License-Identifier: Apache-2.0
"""Fixed records of a zip archive (APPNOTE.TXT 6.3, section 4.3), shared by the writer and the reader of packages."""

from __future__ import annotations

import struct

LOCAL = struct.Struct("<IHHHHHIIIHH")
"""Before an entry's data: signature, version, flags, method, time, date, checksum, two sizes, two lengths."""
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
"""In the directory: signature, two versions, flags, method, time, date, checksum, two sizes, three lengths, disk,
two attributes, offset of the local record."""
END = struct.Struct("<IHHHHIIH")
"""At the end: signature, two disks, two counts, size and offset of the directory, length of the comment."""

LOCAL_SIGNATURE = 0x04034B50
CENTRAL_SIGNATURE = 0x02014B50
END_SIGNATURE = 0x06054B50
ZIP64_LOCATOR_SIGNATURE = 0x07064B50
ZIP64_EXTRA = 0x0001
