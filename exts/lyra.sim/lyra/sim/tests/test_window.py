# SPDX-License-Identifier: Apache-2.0
"""Inside Kit: the window opens, takes a prompt and says why a control is disabled."""

from __future__ import annotations

from typing import Any

import omni.kit.test
import omni.kit.ui_test
import omni.ui

TITLE = "Lyra"


def find(kind: str, identifier: str) -> Any:
    """A widget of the window."""
    return omni.kit.ui_test.find(f"{TITLE}//Frame/**/{kind}[*].identifier=='{identifier}'")


class TestWindow(omni.kit.test.AsyncTestCase):
    """Each test starts with the window shown."""

    async def setUp(self) -> None:
        """Show it, without a prompt."""
        omni.ui.Workspace.show_window(TITLE, True)
        await omni.kit.ui_test.human_delay(10)
        await self.set_prompt("")

    async def tearDown(self) -> None:
        """Hide it."""
        omni.ui.Workspace.show_window(TITLE, False)
        await omni.kit.ui_test.human_delay(2)

    async def set_prompt(self, text: str) -> None:
        """Put a text into the prompt; the tests share one window, so an older text has to go."""
        find("StringField", "prompt").widget.model.set_value(text)
        await omni.kit.ui_test.human_delay(10)

    async def test_all_important_controls_are_there(self) -> None:
        """Prompt, buttons and progress exist."""
        for kind, identifier in (
            ("StringField", "prompt"),
            ("Button", "generate"),
            ("Button", "cancel"),
            ("Button", "check"),
            ("ProgressBar", "progress"),
        ):
            self.assertIsNotNone(find(kind, identifier), identifier)

    async def test_without_a_prompt_nothing_can_be_generated(self) -> None:
        """Generate is disabled while there is nothing to generate, and enabled by a prompt."""
        self.assertFalse(find("Button", "generate").widget.enabled)
        await self.set_prompt("a small kitchen")
        self.assertTrue(find("Button", "generate").widget.enabled)

    async def test_hiding_and_showing_keeps_the_prompt(self) -> None:
        """The window is not rebuilt from nothing."""
        await self.set_prompt("a yard with two trees")
        omni.ui.Workspace.show_window(TITLE, False)
        await omni.kit.ui_test.human_delay(5)
        omni.ui.Workspace.show_window(TITLE, True)
        await omni.kit.ui_test.human_delay(10)
        self.assertEqual(find("StringField", "prompt").widget.model.get_value_as_string(), "a yard with two trees")
