# SPDX-License-Identifier: Apache-2.0
"""A strict fake of Kit: exactly the symbols of `symbols.toml`, with real stages behind them.

Kit does not run on the machines that build this repository. The fake stands in for it, and an attribute or keyword that
is not in the list is an error, so that a test cannot pass on a symbol that Kit does not have.
"""

from fake_kit.block_guard import BlockGuard, BlockingCall
from fake_kit.drivers import DialogDriver, WidgetDriver
from fake_kit.kit import FakeKit
from fake_kit.table import LIST, Symbol, Table, table

__all__ = ["LIST", "BlockGuard", "BlockingCall", "DialogDriver", "FakeKit", "Symbol", "Table", "WidgetDriver", "table"]
