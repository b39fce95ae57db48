# SPDX-License-Identifier: Apache-2.0
"""`lyra models pull` in its own process, against a real server that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyra_core.weights.manifest import Manifest
from lyra_core.weights.presets import Preset

from .hub_server import COMMIT, HubServer
from .official_files import ROLES, source_list

BIG = "acme/teacher/model.pt"
DECODER = "acme/decoders/static.pt"
BLOCK = 10 * 1024 * 1024
OTHER_COMMIT = "beef" + "0" * 36

Done = subprocess.CompletedProcess[str]
Lyra = Callable[..., Done]


@pytest.fixture
def hub(released: Path) -> Iterator[HubServer]:
    """A hub with all files of the preset `small`, one of them of some size."""
    (released / DECODER).write_bytes(os.urandom(3_000_000))
    with HubServer(released).running() as server:
        yield server


@pytest.fixture
def large(hub: HubServer) -> Path:
    """A file on the hub that takes the client five blocks (it keeps whole blocks of an interrupted download)."""
    path = hub.root / DECODER
    path.write_bytes(os.urandom(45_000_000))
    return path


@pytest.fixture
def environment(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """Of a user without token and cache, whose hub is `hub`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return inherited | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "NO_COLOR": "1"}


@pytest.fixture
def lyra(environment: dict[str, str], small: Preset) -> Lyra:
    """Runs `lyra models VERB small.yaml ...`, without a terminal."""

    def run(verb: str, *arguments: object, file_limit: int | None = None, **variables: str) -> Done:
        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        return subprocess.run(
            command(verb, small, *arguments), env={**environment, **variables}, preexec_fn=limit,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    return run


def command(verb: str, preset: Preset, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "lyra_core.app.cli", "models", verb, str(preset._path), *map(str, arguments)]


def official(preset: Preset) -> Path:
    return preset.weights_folder / "official"


def assert_refused(done: Done, *expected: str) -> None:
    """One line that says all of this, and no traceback."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lyra: ")
    for text in expected:
        assert text in last, last


def test_everything_is_fetched_checked_and_recorded(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    done = lyra("pull", "--accept-license", "--json")
    assert done.returncode == 0, done.stderr
    manifest = Manifest.load(official(small))
    assert set(manifest.files) == set(ROLES)
    for name, entry in manifest.files.items():
        content = (hub.root / name).read_bytes()
        assert (official(small) / name).read_bytes() == content
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert entry.source == f"{name.rsplit('/', 1)[0]}@{COMMIT}"
    assert manifest.licence == "Test Licence"
    assert json.loads(done.stdout)["files"][BIG] == manifest.files[BIG].sha256
    assert "total to fetch" in done.stderr.split("licence:")[0]
    assert "https://example.org/licence" in done.stderr
    assert list(official(small).rglob("*.part")) == []


def test_second_pull_fetches_nothing_and_asks_nothing(lyra: Lyra, hub: HubServer) -> None:
    assert lyra("pull", "--accept-license").returncode == 0
    hub.requests.clear()
    assert lyra("pull").returncode == 0
    assert hub.requests == []


def test_licence_must_be_accepted(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    done = lyra("pull")
    assert_refused(done, "--accept-license")
    assert "Test Licence" in done.stderr
    assert not any(request.method == "GET" for request in hub.requests)
    assert not official(small).exists()


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_licence_question_on_a_terminal(small: Preset, environment: dict[str, str], answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("pull", small), env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(ours, f"{answer}\n".encode())
    _, errors = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, errors
    assert "Do you accept" in errors
    assert official(small).exists() == (code == 0)


def test_dropped_connection_goes_on_where_it_was(lyra: Lyra, small: Preset, hub: HubServer, large: Path) -> None:
    hub.behaviour.drop_after, hub.behaviour.drops = 2 * BLOCK, 1
    done = lyra("pull", "--accept-license")
    assert done.returncode == 0, done.stderr
    assert (official(small) / DECODER).read_bytes() == large.read_bytes()
    first, second = hub.bodies(DECODER)
    assert (first.start, second.start) == (0, 2 * BLOCK)


def test_killed_run_goes_on_where_it_was(
    lyra: Lyra, small: Preset, hub: HubServer, large: Path, environment: dict[str, str]
) -> None:
    hub.behaviour.drop_after = BLOCK
    process = subprocess.Popen(command("pull", small, "--accept-license"), env=environment, stderr=subprocess.PIPE)
    wait_for(lambda: len(hub.bodies(DECODER)) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    [part] = official(small).rglob("*.part")
    size = part.stat().st_size
    assert 0 < size < large.stat().st_size
    hub.behaviour.drop_after = None
    hub.requests.clear()
    done = lyra("pull", "--accept-license")
    assert done.returncode == 0, done.stderr
    assert [request.start for request in hub.bodies(DECODER)] == [size]
    assert hub.bodies(BIG) == []
    assert (official(small) / DECODER).read_bytes() == large.read_bytes()


@pytest.mark.usefixtures("large")
def test_ctrl_c_keeps_what_has_arrived(small: Preset, hub: HubServer, environment: dict[str, str]) -> None:
    hub.behaviour.drop_after = BLOCK
    process = subprocess.Popen(
        command("pull", small, "--accept-license"), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(hub.bodies(DECODER)) >= 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    [part] = official(small).rglob("*.part")
    assert part.stat().st_size >= BLOCK


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_changed_content_on_the_hub_is_not_appended(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    path = official(small) / DECODER
    path.parent.mkdir(parents=True)
    (path.parent / ".static.pt.0123456789abcdef.part").write_bytes(b"of another file")
    assert lyra("pull", "--accept-license").returncode == 0
    assert path.read_bytes() == (hub.root / DECODER).read_bytes()


@pytest.mark.parametrize("name", [DECODER, "acme/Tok/mean_std.pt"])
def test_wrong_content_is_not_kept(lyra: Lyra, small: Preset, hub: HubServer, name: str) -> None:
    hub.behaviour.corrupt = {name}
    assert_refused(lyra("pull", "--accept-license"), name, "sha256", "not kept")
    assert not (official(small) / name).exists()
    assert name not in Manifest.load(official(small)).files
    hub.behaviour.corrupt = set()
    assert lyra("pull", "--accept-license").returncode == 0


def test_listed_hash_beats_the_hub(lyra: Lyra, small: Preset) -> None:
    small._path.with_suffix(".toml").write_text(source_list(digests={DECODER: "0" * 64}))
    assert_refused(lyra("pull", "--accept-license"), DECODER, "expected " + "0" * 64)


def test_small_files_are_held_to_their_git_hash(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    rename_in_list(small, hub, "mean_std.pt", "statistics.bin")
    hub.behaviour.corrupt = {"acme/Tok/statistics.bin"}
    assert_refused(lyra("pull", "--accept-license"), "acme/Tok/statistics.bin has git hash")
    hub.behaviour.corrupt = set()
    assert lyra("pull", "--accept-license").returncode == 0


def rename_in_list(small: Preset, hub: HubServer, old: str, new: str) -> None:
    sources = small._path.with_suffix(".toml")
    sources.write_text(sources.read_text().replace(old, new))
    (hub.root / "acme/Tok" / old).rename(hub.root / "acme/Tok" / new)


def test_first_pull_pins_the_commit(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    assert lyra("pull", "--accept-license").returncode == 0
    (official(small) / "acme/Tok/mean_std.pt").unlink()
    hub.behaviour.commit = OTHER_COMMIT
    assert_refused(lyra("pull", "--accept-license"), "acme/Tok", f"no revision {COMMIT}")


def test_listed_commit_is_asked_for(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    small._path.with_suffix(".toml").write_text(source_list(revision=COMMIT))
    assert lyra("pull", "--accept-license").returncode == 0
    small._path.with_suffix(".toml").write_text(source_list(revision=OTHER_COMMIT))
    shutil.rmtree(official(small))
    assert_refused(lyra("pull", "--accept-license"), f"no revision {OTHER_COMMIT}")


def test_a_file_changed_later_is_noticed(lyra: Lyra, small: Preset) -> None:
    assert lyra("pull", "--accept-license").returncode == 0
    path = official(small) / DECODER
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert_refused(lyra("pull"), str(path), "differs from manifest.json")
    assert_refused(lyra("convert"), str(path), "differs from manifest.json")


@pytest.mark.parametrize(("gated", "expected"), [(True, "is gated"), (False, "does not exist, or not for you")])
def test_closed_repositories_ask_for_a_token(
    lyra: Lyra, small: Preset, hub: HubServer, gated: bool, expected: str
) -> None:
    hub.behaviour.token, hub.behaviour.gated = "hf_secret", gated
    assert_refused(lyra("pull", "--accept-license"), "acme/teacher", expected, "hf auth login")
    assert not official(small).exists()
    done = lyra("pull", "--accept-license", HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in done.stderr + done.stdout
    storage = [request for request in hub.requests if request.path.startswith("/storage/")]
    assert storage
    assert {request.token for request in storage} == {None}, "the token left the hub"


def test_a_token_without_permission(lyra: Lyra, hub: HubServer) -> None:
    hub.behaviour.forbidden = True
    assert_refused(lyra("pull", "--accept-license", HF_TOKEN="hf_other"), "acme/teacher", "refuses this account")


def test_missing_files_and_broken_hubs(lyra: Lyra, hub: HubServer) -> None:
    (hub.root / DECODER).rename(hub.root / "aside")
    assert_refused(lyra("pull", "--accept-license"), DECODER, "does not exist at revision main")
    hub.behaviour.broken = True
    assert_refused(lyra("pull", "--accept-license"), BIG, "Run the command again")
    assert_refused(lyra("pull", HF_ENDPOINT="http://127.0.0.1:9"), BIG, "connection", "Run the command again")


def test_too_little_space_is_said_first(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    hub.behaviour.claimed_bytes = 10**16
    assert_refused(lyra("pull", "--accept-license"), "are missing, but only", "Free some space")
    assert not any(request.method == "GET" for request in hub.requests)


def test_disk_that_fills_up_on_the_way(lyra: Lyra, small: Preset, hub: HubServer) -> None:
    done = lyra("pull", "--accept-license", file_limit=2_000_000)
    assert_refused(done, DECODER, "does not fit on the disk", "Run the command again")
    assert not (official(small) / DECODER).exists()
    hub.requests.clear()
    assert lyra("pull", "--accept-license").returncode == 0
    [again] = hub.bodies(DECODER)
    assert 0 < again.start <= 2_000_000


@pytest.mark.parametrize("layout", ["ours", "clones", "cache"])
def test_from_a_folder_without_network(lyra: Lyra, small: Preset, hub: HubServer, tmp_path: Path, layout: str) -> None:
    folder = laid_out(hub.root, tmp_path / layout, layout)
    assert_refused(lyra("pull", "--from", folder), "--accept-license")
    done = lyra("pull", "--from", folder, "--accept-license", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert hub.requests == []
    assert (official(small) / DECODER).read_bytes() == (hub.root / DECODER).read_bytes()
    assert Manifest.load(official(small)).files[DECODER].source == "acme/decoders@unknown"


def laid_out(released: Path, folder: Path, layout: str) -> Path:
    """The released files as `layout` has them; clones may be spelt differently."""
    for name in ROLES:
        owner, repository, file = name.split("/")
        places = {
            "ours": f"{owner}/{repository}",
            "clones": repository.upper(),
            "cache": f"models--{owner}--{repository}/snapshots/{COMMIT}",
        }
        target = folder / places[layout] / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(released / name, target)
    return folder


def test_folder_that_lacks_a_file_or_has_another_one(lyra: Lyra, small: Preset, hub: HubServer, tmp_path: Path) -> None:
    folder = laid_out(hub.root, tmp_path / "copy", "ours")
    (folder / DECODER).unlink()
    assert_refused(lyra("pull", "--from", folder, "--accept-license"), DECODER, str(folder))
    assert_refused(lyra("pull", "--from", tmp_path / "nowhere"), "does not exist")
    (folder / DECODER).write_bytes(b"other")
    small._path.with_suffix(".toml").write_text(source_list(digests={DECODER: "0" * 64}))
    assert_refused(lyra("pull", "--from", folder, "--accept-license"), DECODER, "not kept")


def test_offline_takes_what_the_hub_cached(lyra: Lyra, hub: HubServer, tmp_path: Path) -> None:
    assert_refused(lyra("pull", HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE")
    laid_out(hub.root, tmp_path / "hf" / "hub", "cache")
    done = lyra("pull", "--accept-license", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert hub.requests == []


def test_pull_then_convert(lyra: Lyra, small: Preset, hub: HubServer, pristine: Path) -> None:
    assert_refused(lyra("convert"), "lyra models pull small", "acme/Tok/encoder.jit")
    shutil.copy(pristine / DECODER, hub.root / DECODER)
    assert lyra("pull", "--accept-license").returncode == 0
    done = lyra("convert", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["written"]) == 5
    assert (
        f"acme/teacher/model.pt@{COMMIT}" in Manifest.load(small.weights_folder).files["transformer.safetensors"].source
    )
    facts = json.loads(lyra("info", "--json").stdout)
    assert facts["state"] == "ready"
    assert facts["licence"] == "Test Licence"
    assert all(file["here"] for file in facts["released_files"])
