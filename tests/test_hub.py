"""The model hub, against a stand-in for its client that keeps repositories in a folder."""

import fnmatch
import shutil
import sys
import types

import pytest

import sparring
from sparring.core.errors import SparringError
from sparring.tools.hub import pull, push


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    return sparring.train("digits", family="vanilla", run=folder, kimg=0.1, batch=10, game={"width": 8})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    root = tmp_path / "hub"

    class HfApi:
        def create_repo(self, repository, private, exist_ok):
            assert exist_ok
            (root / repository).mkdir(parents=True, exist_ok=True)

        def upload_folder(self, repo_id, folder_path, allow_patterns):
            for path in sorted(__import__("pathlib").Path(folder_path).iterdir()):
                if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                    shutil.copy(path, root / repo_id)

    def snapshot_download(repository, local_dir, allow_patterns):
        if not (root / repository).is_dir():
            raise OSError(f"no such repository: {repository}\nand more lines")
        shutil.copytree(root / repository, local_dir, dirs_exist_ok=True)

    module = types.ModuleType("huggingface_hub")
    module.HfApi, module.snapshot_download = HfApi, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return root


def test_what_is_pushed_can_be_pulled_and_samples_alike(run, hub, tmp_path):
    push(run.folder.root, "me/digits")
    assert sorted(path.name for path in (hub / "me" / "digits").iterdir()) == ["generator.safetensors", "model.json"]
    pulled = sparring.load(pull("me/digits", tmp_path / "pulled"))
    assert pulled.sample(3, seed=7).equal(run.sample(3, seed=7))


def test_a_damaged_model_is_not_sent_and_not_kept_silently(run, hub, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run.folder.root, broken)
    weights = broken / "model" / "generator.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(SparringError, match="checksum"):
        push(broken, "me/broken")
    assert not (hub / "me").exists()


def test_what_the_hub_refuses_is_one_sentence(hub):
    with pytest.raises(SparringError, match=r"could not pull me/nothing: OSError: no such repository: me/nothing$"):
        pull("me/nothing")


def test_without_the_extra_a_person_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[hub\]'"):
        push(run.folder.root, "me/digits")
