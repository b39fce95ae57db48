# SPDX-License-Identifier: Apache-2.0
"""Released files in, working networks out; and what must be refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lyra_core.errors import LyraError
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.weights.components import build_decoder, build_diffusion, build_tokenizer
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.official.checkpoints import read_state
from lyra_core.weights.official.convert import convert
from lyra_core.weights.official.tokenizer_files import read_statistics
from lyra_core.weights.presets import Preset, load_preset

from .official_files import golden, module_tree, released_state

MODEL = "acme/teacher/model.pt"
DECODER = "acme/decoders/static.pt"


def test_converted_teacher_computes_what_the_published_one_does(small: Preset, pristine: Path) -> None:
    convert(small, folder=pristine)
    file, _ = golden("teacher_dit_tiny")
    with torch.no_grad():
        output = build_diffusion(small).transformer(
            file["in.x"],
            file["in.timesteps"],
            file["in.condition_video_input_mask"],
            file["in.condition_video_pose"],
            file["in.crossattn_emb"],
            padding_mask=file["in.padding_mask"],
        )
    torch.testing.assert_close(output, file["out.fps24"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("container", ["TorchScript", "model.pt"])
def test_converted_tokenizer_computes_what_the_published_one_does(
    small: Preset, released: Path, container: str
) -> None:
    if container == "model.pt":
        offer_whole_tokenizer(small, released)
    convert(small, folder=released)
    file, _ = golden("teacher_vae_tiny")
    tokenizer = build_tokenizer(small)
    latents = tokenizer.encode(file["in.video"])
    torch.testing.assert_close(latents, file["out.latent"], atol=1e-5, rtol=0)
    torch.testing.assert_close(0.5 * tokenizer.normalize(latents), file["out.diffusion_latent"], atol=1e-5, rtol=0)
    torch.testing.assert_close(tokenizer.decode(file["out.latent"]), file["out.recon"], atol=1e-4, rtol=0)


def offer_whole_tokenizer(small: Preset, released: Path) -> None:
    """One file of weights in place of the two archives, which turn unusable."""
    torch.save(released_state("teacher_vae_tiny"), released / "acme/Tok/model.pt")
    for name in ("encoder.jit", "decoder.jit"):
        (released / "acme/Tok" / name).write_bytes(b"unused")
    sources = small._path.with_suffix(".toml")
    entry = (
        '[[repository.file]]\npath = "model.pt"\nrole = "tokenizer"\nfetch = "never"\nbytes = "unknown"\n'
        'estimated_bytes = 1\nsha256 = "unknown"\nmd5 = "unknown"\n'
    )
    head, tail = sources.read_text().split('[[repository]]\nid = "acme/decoders"')
    sources.write_text(f'{head}{entry}[[repository]]\nid = "acme/decoders"{tail}')


def test_converted_decoder_has_the_released_values(small: Preset, pristine: Path) -> None:
    done = convert(small, folder=pristine)
    state = build_decoder(small).state_dict()
    expected = released_state("decoder_static_tiny")
    assert set(state) == set(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert any("learned time" in note for note in done.notes)


def test_released_precision_is_kept(small: Preset, released: Path) -> None:
    half = {name: value.bfloat16() for name, value in released_state("teacher_dit_tiny").items()}
    torch.save(half, released / MODEL)
    convert(small, folder=released)
    stored = load_file(small.weights_folder / "transformer.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    assert build_diffusion(small).transformer.dtype == torch.bfloat16


def test_manifest_says_where_everything_came_from(small: Preset, pristine: Path) -> None:
    convert(small, folder=pristine)
    manifest = Manifest.load(small.weights_folder)
    assert manifest.licence == "Test Licence"
    assert manifest.files["decoder.safetensors"].source.startswith("acme/decoders/static.pt@unknown")
    assert "zeros" in manifest.files["text.safetensors"].source
    assert not manifest.files["text.safetensors"].trained
    assert "mean_std.pt" in manifest.files["tokenizer/config.json"].source
    assert small.missing_files == []


def test_second_run_writes_nothing_and_a_new_file_only_its_own_part(small: Preset, released: Path) -> None:
    first = convert(small, folder=released)
    assert len(first.written) == 5
    assert convert(small, folder=released).written == []
    torch.save({"module": released_state("decoder_static_tiny"), "ds_version": "0.18"}, released / DECODER)
    again = convert(small, folder=released)
    assert [path.name for path in again.written] == ["decoder.safetensors"]


def test_a_changed_converted_file_is_not_loaded(small: Preset, pristine: Path) -> None:
    convert(small, folder=pristine)
    config = small.weights_folder / "tokenizer/config.json"
    config.write_text(config.read_text().replace("0.", "1.", 1))
    with pytest.raises(LyraError, match=r"config\.json differ from manifest"):
        build_tokenizer(small)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without("net.affline_norm.weight"), r"1 missing \(time_embed\.norm\.weight\)"),
        (lambda state: state | {"net.wings.weight": torch.ones(2)}, r"1 unexpected \(wings\.weight\)"),
        (
            lambda state: state | {"net.affline_norm.weight": torch.ones(3)},
            r"1 misshaped \(time_embed\.norm\.weight 3 instead of 64\)",
        ),
        (
            lambda state: state | {"net.x_embedder.proj.1.weight": torch.ones(64, 72)},
            r"64x72 instead of 64x328.*18 input channels this is plain Cosmos video-to-world",
        ),
        (lambda state: released_state("decoder_static_tiny"), "weights of a 3DGS decoder, not of a diffusion tr"),
        (lambda state: state | {"net.affline_norm.weight": torch.full((64,), float("nan"))}, "not finite, in time_emb"),
    ],
)
def test_wrong_teachers_are_named(
    small: Preset, released: Path, change: Callable[[dict[str, Any]], dict[str, Any]], expected: str
) -> None:
    torch.save(change(released_state("teacher_dit_tiny")), released / MODEL)
    with pytest.raises(LyraError, match=expected):
        convert(small, folder=released)
    assert not (small.weights_folder / "transformer.safetensors").exists()
    assert (small.weights_folder / "decoder.safetensors").exists()


def test_dynamic_preset_refuses_a_decoder_that_never_learned_time(small: Preset, released: Path) -> None:
    preset = yaml.safe_load(small._path.read_text())
    preset["decoder"]["config"]["use_time_embedding"] = True
    small._path.write_text(yaml.safe_dump(preset))
    state = released_state("decoder_static_tiny")
    untrained = {name: torch.zeros_like(value) for name, value in state.items() if name.startswith("patch_time")}
    torch.save({"module": state | untrained}, released / DECODER)
    with pytest.raises(LyraError, match=r"static decoder.*lyra_dynamic\.pt"):
        convert(load_preset(str(small._path)), folder=released)
    convert(small, folder=released)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((torch.zeros(16), torch.ones(16)), "looks like image_mean_std"),
        ((torch.zeros(48), torch.ones(32)), "48 means and 32 deviations"),
        ((torch.zeros(32), torch.ones(32)), "at least 3 latent frames"),
        ((torch.zeros(48), torch.zeros(48)), "not positive"),
        ({"mean": torch.zeros(48)}, "no pair"),
    ],
)
def test_mismatched_statistics_are_refused(small: Preset, released: Path, content: object, expected: str) -> None:
    torch.save(content, released / "acme/Tok/mean_std.pt")
    with pytest.raises(LyraError, match=expected):
        convert(small, folder=released)


def test_statistics_are_channel_major_and_cropped_in_time(tmp_path: Path) -> None:
    mean = torch.arange(16 * 5.0).view(16, 5)
    torch.save((mean, mean + 1), tmp_path / "mean_std.pt")
    kept, deviations = read_statistics(tmp_path / "mean_std.pt", 16, 3)
    assert kept == mean[:, :3].flatten().tolist()
    assert deviations == (mean[:, :3] + 1).flatten().tolist()


class Malicious:
    """Leaves a trace when it is unpickled the ordinary way."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_by_name(small: Preset, released: Path, tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "executed"
    content = {"net.a": torch.ones(2), "net.b": Malicious(trace)}
    torch.save(content, released / MODEL, _use_new_zipfile_serialization=zipped)
    with pytest.raises(LyraError, match=rf"{MODEL} is a pickle that asks for (posix|os)\.system.*refused"):
        convert(small, folder=released)
    assert not trace.exists()
    torch.load(released / MODEL, weights_only=False)
    assert trace.exists(), "the file would have run code"


def test_an_archive_with_code_is_refused_by_name(small: Preset, released: Path, tmp_path: Path) -> None:
    trace, path = tmp_path / "executed", released / "acme/Tok/encoder.jit"
    rewritten(path, lambda name, content: pickle.dumps(Malicious(trace)) if name.endswith("/data.pkl") else content)
    with pytest.raises(LyraError, match=r"encoder\.jit is an archive that asks for (posix|os)\.system.*refused"):
        convert(small, folder=released)
    assert not trace.exists()


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Replaces entries of an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def test_tensors_larger_than_their_storage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder.jit"
    torch.jit.script(module_tree({"encoder.weight": torch.ones(3, 4)})).save(path)
    assert torch.equal(read_state(path)["encoder.weight"], torch.ones(3, 4))
    rewritten(path, lambda name, content: content[:8] if "/data/" in name else content)
    with pytest.raises(LyraError, match="truncated or corrupt"):
        read_state(path)


def test_compressed_storages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder.jit"
    torch.jit.script(module_tree({"encoder.weight": torch.ones(3, 4)})).save(path)
    rewritten(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
    with pytest.raises(LyraError, match="compressed"):
        read_state(path)


def test_a_frozen_program_has_no_names(tmp_path: Path) -> None:
    program = torch.jit.freeze(torch.jit.script(torch.nn.Conv2d(1, 1, 1).eval()))
    program.save(tmp_path / "frozen.jit")
    with pytest.raises(LyraError, match=r"no named parameters.*model\.pt"):
        read_state(tmp_path / "frozen.jit")


@pytest.mark.parametrize("file", [MODEL, "acme/Tok/encoder.jit", "acme/Tok/mean_std.pt", DECODER])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text"])
def test_damaged_files_are_named(small: Preset, released: Path, file: str, damage: str) -> None:
    path = released / file
    content = path.read_bytes()
    damaged = {"empty": b"", "truncated": content[: len(content) // 2], "text": b"<html>sorry</html>"}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(damaged[damage])
    with pytest.raises(LyraError, match=file):
        convert(small, folder=released)


def test_truncated_converted_file_is_named(small: Preset, pristine: Path) -> None:
    convert(small, folder=pristine)
    path = small.weights_folder / "transformer.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LyraError, match=r"transformer\.safetensors differ from manifest"):
        build_diffusion(small)
    (small.weights_folder / "manifest.json").unlink()
    with pytest.raises(LyraError, match=r"transformer\.safetensors are truncated or corrupt"):
        build_diffusion(small)


def test_text_encoder_makes_the_embeddings(small: Preset, pristine: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = tiny_text_encoder(transformers, tmp_path / "t5", width=48)
    convert(small, folder=pristine)
    convert(small, folder=pristine, text_encoder=folder)
    text = TextEmbeddings.load(small.weights_folder / "text.safetensors")
    assert text.prompt.shape == text.negative.shape == (512, 48)
    assert text.prompt[0].any()  # the end token of an empty prompt
    assert not text.prompt[1:].any()
    assert text.negative[20].any()
    assert Manifest.load(small.weights_folder).files["text.safetensors"].trained
    wide = tiny_text_encoder(transformers, tmp_path / "wide", width=32)
    with pytest.raises(LyraError, match=r"32 channels.*reads 48"):
        convert(small, folder=pristine, text_encoder=wide)


def tiny_text_encoder(transformers: Any, folder: Path, width: int) -> Path:
    """A real T5 encoder with random weights, and a tokenizer that knows letters."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = transformers.T5Config(
        vocab_size=len(vocabulary), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    torch.manual_seed(0)
    transformers.T5EncoderModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def test_a_folder_without_text_encoder_is_refused(small: Preset, pristine: Path, tmp_path: Path) -> None:
    with pytest.raises(LyraError, match=r"transformers|no T5 encoder"):
        convert(small, folder=pristine, text_encoder=tmp_path)
