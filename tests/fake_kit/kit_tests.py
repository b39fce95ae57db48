# SPDX-License-Identifier: Apache-2.0
"""Fakes of `omni.kit.test` and `omni.kit.ui_test`, so that the tests for Kit run here too before anybody has Kit."""

from __future__ import annotations

import inspect
import re
import unittest
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fake_kit.application import IApp
from fake_kit.drivers import WidgetDriver
from fake_kit.strict import Strict, listed

_QUERY = re.compile(
    r"(?P<window>[^/]+)//Frame/\*\*/(?P<kind>\w+)\[\*\]\.identifier==(?P<quote>['\"])(?P<name>.+)(?P=quote)"
)


class AsyncTestCase(unittest.TestCase):
    """A test case whose methods are coroutines; Kit runs them on its own event loop."""


class WidgetRef(Strict):
    """A widget that was found."""

    symbol = "omni.kit.ui_test:WidgetRef"

    def __init__(self, driver: WidgetDriver, app: IApp) -> None:
        self._driver = driver
        self._app = app

    @property
    def widget(self) -> Any:
        """The widget itself."""
        return self._driver._widget

    @listed("omni.kit.ui_test:WidgetRef.click")
    async def click(self) -> None:
        """Click it, and wait for the next frame."""
        self._driver.click()
        await self._app.next_update_async()

    @listed("omni.kit.ui_test:WidgetRef.input")
    async def input(self, text: str) -> None:
        """Type into it, and wait for the next frame."""
        self._driver.type(text)
        await self._app.next_update_async()


class UiTest:
    """`omni.kit.ui_test`."""

    def __init__(self, app: IApp, widget: Callable[[str, str], WidgetDriver | None]) -> None:
        self._app = app
        self._widget = widget

    def find(self, query: str) -> WidgetRef | None:
        """The widget of a query, in the one form that we use; None if there is none of that kind and name."""
        match = _QUERY.fullmatch(query)
        if match is None:
            raise ValueError(f"not of the form \"Window//Frame/**/Button[*].identifier=='name'\": {query}")
        driver = self._widget(match["window"], match["name"])
        return WidgetRef(driver, self._app) if driver and driver.kind == match["kind"] else None

    async def human_delay(self, frames: int = 2) -> None:
        """Wait for some frames."""
        for _frame in range(frames):
            await self._app.next_update_async()


def cases_of(module: ModuleType) -> list[AsyncTestCase]:
    """Every test of a module, one object each."""
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, AsyncTestCase)]
    names = unittest.defaultTestLoader.getTestCaseNames
    return [case(name) for case in classes if case is not AsyncTestCase for name in names(case)]


async def run_case(case: AsyncTestCase) -> None:
    """Set up, test, tear down and clean up; whatever fails is raised."""
    try:
        await _call(case, "setUp")
        try:
            await _call(case, case._testMethodName)
        finally:
            await _call(case, "tearDown")
    finally:
        case.doCleanups()


async def _call(case: AsyncTestCase, method: str) -> None:
    result = getattr(case, method)()
    if inspect.isawaitable(result):
        await result
