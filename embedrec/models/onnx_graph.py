"""ONNX graphs, built node by node: encoders of histories that run without embedrec, numba and torch.

Every encoder has the input "items" (b, m) int64, the histories as rows of the model's vocabulary, oldest first. A −1 at
any place is an unknown item or padding. The output "query" (b, e) float32 are the vectors of `VectorModel.encoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from embedrec.errors import DataError, need_package

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

    from embedrec.models.vector_model import VectorModel

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12 (2022), so that older runtimes load the file
FLOAT, INT32, INT64 = 1, 6, 7  # element types of `onnx.TensorProto`, for casts
MAX_BYTES = 2**31 - 2**20  # of a protocol buffer


@runtime_checkable
class OnnxRecipe(Protocol):
    """A recipe whose models have encoders with an ONNX form."""

    def add_onnx_encoder(self, graph: OnnxGraph, model: VectorModel) -> str:
        """Add the encoder of a model of this recipe to a graph; returns the name of the query."""
        ...


@dataclass(eq=False)
class OnnxGraph:
    """Nodes and constants of a graph. Values are named by strings.

    Raises SettingsError when the package onnx is missing.
    """

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need_package("onnx", "an ONNX encoder")

    def input(self, name: str, *shape: str) -> str:
        """An int64 input with named dimensions."""
        self.inputs[name] = shape
        return name

    def constant(self, array: Any) -> str:
        """A constant tensor, as a value."""
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *values: str, output: str | None = None, **attributes: Any) -> str:
        """The first output of a new node."""
        return self.add_all(operator, 1, *values, outputs=None if output is None else [output], **attributes)[0]

    def add_all(
        self, operator: str, count: int, *values: str, outputs: list[str] | None = None, **attributes: Any
    ) -> list[str]:
        """The first `count` outputs of a new node."""
        from onnx import helper

        outputs = outputs or [f"value{len(self.nodes)}_{number}" for number in range(count)]
        self.nodes.append(helper.make_node(operator, list(values), outputs, **attributes))
        return outputs

    def known_items(self) -> tuple[str, str]:
        """The input "items" with one more −1 at the end, so that no history is empty: rows (b, m + 1), 0 where the item
        is unknown, and whether it is known (b, m + 1) bool."""
        items = self.input("items", "batch", "length")
        padded = self.add("Pad", items, self.constant(np.array([0, 0, 0, 1])), self.constant(np.int64(-1)))
        zero = self.constant(np.int64(0))
        return self.add("Max", padded, zero), self.add("GreaterOrEqual", padded, zero)

    def model(self, query: str, width: int, about: Mapping[str, str]) -> ModelProto:
        """The model whose output "query" is a value (b, width); `about` are its metadata.

        Raises DataError when it is larger than a protocol buffer may be.
        """
        from onnx import checker, helper

        size = sum(len(constant.raw_data) for constant in self.constants)
        if size > MAX_BYTES:
            raise DataError(
                f"an ONNX file holds less than 2 GiB, but this encoder needs {size:,} bytes; train with smaller vectors"
            )
        self.add("Identity", query, output="query")
        inputs = [helper.make_tensor_value_info(name, INT64, s) for name, s in self.inputs.items()]
        output = helper.make_tensor_value_info("query", FLOAT, ("batch", width))
        graph = helper.make_graph(self.nodes, "encoder", inputs, [output], self.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="embedrec")
        helper.set_model_props(model, dict(about))
        checker.check_model(model, full_check=True)
        return model
