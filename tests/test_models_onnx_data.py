"""ONNX files whose weights lie beside them: only those of the model's own folder are read."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamdyn import ModelError, load_model
from tests.models_onnx_kit import CARD, CLASSIFIER, save


def external(location: str, key: str = "location") -> onnx.TensorProto:
    """A weight whose data lies in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key=key, value=location)
    return tensor


class TestExternalData:
    """No file may make the runtime read outside of the model's own folder."""

    @pytest.fixture
    def folder(self, tmp_path):
        """The model's folder, with weights in it, and a secret outside."""
        folder = tmp_path / "model"
        folder.mkdir()
        np.ones(1, np.float32).tofile(folder / "weights.bin")
        np.ones(1, np.float32).tofile(tmp_path / "secret.bin")
        (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
        (folder / "away").symlink_to(tmp_path)
        (folder / "circle.bin").symlink_to("circle.bin")
        return folder

    NODES = (
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "w"], ["y"]),
    )

    def test_data_in_the_folder_is_read(self, folder):
        path = save(folder / "net.onnx", [*self.NODES], weights=(external("weights.bin"),))
        (folder / "net.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
        assert load_model(str(path)).describe().outputs == {"y": (1, 3)}

    @pytest.mark.parametrize(
        ("location", "fault"),
        [
            ("../secret.bin", "a path that leaves the folder"),
            ("sub/../../secret.bin", "a path that leaves the folder"),
            ("..\\secret.bin", "a path that leaves the folder"),
            ("/etc/passwd", "an absolute path"),
            ("C:\\secret.bin", "an absolute path"),
            ("\\\\host\\share\\secret.bin", "an absolute path"),
            ("link.bin", "a symbolic link"),
            ("away/secret.bin", "a symbolic link"),
            ("circle.bin", "which "),
            ("weights.bin\0", "which cannot be followed"),
            ("none.bin", "which is missing"),
            (".", "which is missing"),
        ],
    )
    def test_data_elsewhere_is_refused(self, folder, location, fault):
        path = save(folder / "net.onnx", [*self.NODES], weights=(external(location),))
        with pytest.raises(ModelError) as refused:
            load_model(str(path), card=CARD)
        assert f"tensor 'w' keeps its data in {location!r}" in str(refused.value)
        assert fault in str(refused.value)

    def test_a_second_location_is_checked_too(self, folder):
        tensor = external("weights.bin")
        tensor.external_data.add(key="location", value="../secret.bin")
        path = save(folder / "net.onnx", [*self.NODES], weights=(tensor,))
        with pytest.raises(ModelError, match="leaves the folder"):
            load_model(str(path), card=CARD)

    def test_tensors_of_attributes_and_subgraphs_are_checked(self, folder):
        constant = helper.make_node("Constant", [], ["w"], value=external("../secret.bin"))
        branch = helper.make_graph(
            [helper.make_node("Identity", ["w"], ["z"])],
            "branch",
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [external("../secret.bin")],
        )
        choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        flag = numpy_helper.from_array(np.array(True), "c")
        attribute = save(folder / "attribute.onnx", [constant, *self.NODES])
        subgraph = save(folder / "subgraph.onnx", [choice], weights=(flag,))
        for path in (attribute, subgraph):
            with pytest.raises(ModelError, match="leaves the folder"):
                load_model(str(path), card=CARD)

    def test_a_model_behind_a_link_is_read_from_where_it_lies(self, folder, tmp_path):
        save(folder / "net.onnx", [*self.NODES], weights=(external("weights.bin"),))
        (folder / "net.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
        (tmp_path / "shortcut").symlink_to(folder)
        assert load_model(str(tmp_path / "shortcut" / "net.onnx")).name == "mean"
