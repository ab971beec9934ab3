"""A planted model in parts: an encoder, and a decoder with a state of two layers, written in numpy once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model
from onnx.checker import check_model

WIDTH = 8
CLASS_COUNT = 5
FEATURE_COUNT = 4
RATE = 16_000
PARTS = """
name = "planted"

[answer]
output = "decoder.logits"
{answer}

[[parts]]
name = "encoder"
file = "encoder.onnx"
inputs = {{ x = {{ task = "x" }} }}

[[parts]]
name = "decoder"
file = "decoder.onnx"
{steps}

[parts.inputs]
token = {token}
state = {state}
rate = {{ value = 16000 }}
"""


class Planted:
    """The weights, the two ONNX files in ``folder``, and what they compute."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.weights = {
            "encode": rng.standard_normal((FEATURE_COUNT, WIDTH)).astype(np.float32),
            "embedding": rng.standard_normal((CLASS_COUNT, WIDTH)).astype(np.float32),
            "recur": (rng.standard_normal((WIDTH, WIDTH)) / 2).astype(np.float32),
            "out": rng.standard_normal((WIDTH, CLASS_COUNT)).astype(np.float32),
        }
        self._save_encoder()
        self._save_decoder()

    def encoded(self, x: np.ndarray) -> np.ndarray:
        """Return the first state [2, N, WIDTH] for x [N, FEATURE_COUNT]."""
        one = np.tanh(x @ self.weights["encode"])
        return np.stack([one, one])

    def step(self, token: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and the next state; the second layer is the state of the step before the last."""
        new = np.tanh(self.weights["embedding"][token] + state[0] @ self.weights["recur"] + state[1])
        return new @ self.weights["out"] * (RATE / 16_000), np.stack([new, state[0]])

    def forced(self, x: np.ndarray, tokens: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """Return logits [N, T, CLASS_COUNT] with each step's token given."""
        state = self.encoded(x) if state is None else state
        found = []
        for step in range(tokens.shape[1]):
            logits, state = self.step(tokens[:, step], state)
            found.append(logits)
        return np.stack(found, axis=1)

    def parts_file(
        self,
        *,
        token: str = '{ task = "tokens", window = 1 }',
        state: str = '{ state = "state_out", start = "encoder.state" }',
        steps: str = "",
        answer: str = "",
    ) -> Path:
        """Write the parts file and return its path."""
        path = self.folder / "parts.toml"
        path.write_text(PARTS.format(token=token, state=state, steps=steps, answer=answer), encoding="utf-8")
        return path

    def task_file(self, *, evaluation: int = 12, calibration: int = 20, steps: int = 6, metric: str = "sqnr") -> Path:
        """Write a task of drawn samples, whose labels are the planted model's own last answers."""
        rng = np.random.default_rng(7)
        count = evaluation + calibration
        x = rng.standard_normal((count, FEATURE_COUNT)).astype(np.float32)
        tokens = rng.integers(0, CLASS_COUNT, (count, steps))
        labels = self.forced(x, tokens)[:, -1].argmax(axis=-1)
        arrays = {"x": x, "tokens": tokens, "y": labels}
        np.savez(
            self.folder / "data.npz",
            **{f"{name}_eval": array[:evaluation] for name, array in arrays.items()},
            **{f"{name}_calib": array[evaluation:] for name, array in arrays.items()},
        )
        labelled = 'labels = "y_eval"\n' if metric == "top1" else ""
        path = self.folder / "task.toml"
        path.write_text(
            'name = "whole"\ndata = "data.npz"\n'
            f'[evaluation]\ninputs = {{ x = "x_eval", tokens = "tokens_eval" }}\n{labelled}'
            '[calibration]\ninputs = { x = "x_calib", tokens = "tokens_calib" }\n'
            f'[metric]\nkind = "{metric}"\n',
            encoding="utf-8",
        )
        return path

    def _save_encoder(self) -> None:
        nodes = [
            helper.make_node("MatMul", ["x", "encode"], ["h"], name="encode"),
            helper.make_node("Tanh", ["h"], ["one"]),
            helper.make_node("Unsqueeze", ["one", "zero"], ["layer"]),
            helper.make_node("Concat", ["layer", "layer"], ["state"], axis=0),
        ]
        self._save(
            "encoder",
            nodes,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURE_COUNT])],
            [helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, "N", WIDTH])],
            {"encode": self.weights["encode"], "zero": np.array([0])},
        )

    def _save_decoder(self) -> None:
        nodes = [
            helper.make_node("Gather", ["embedding", "token"], ["embedded"], axis=0),
            helper.make_node("Split", ["state", "halves"], ["first", "second"], axis=0),
            helper.make_node("Squeeze", ["first", "zero"], ["last"]),
            helper.make_node("Squeeze", ["second", "zero"], ["before"]),
            helper.make_node("MatMul", ["last", "recur"], ["recurred"], name="recur"),
            helper.make_node("Add", ["embedded", "recurred"], ["sum"]),
            helper.make_node("Add", ["sum", "before"], ["all"]),
            helper.make_node("Tanh", ["all"], ["new"]),
            helper.make_node("MatMul", ["new", "out"], ["scores"], name="out"),
            helper.make_node("Cast", ["rate"], ["rate_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["rate_float", "per_rate"], ["gain"]),
            helper.make_node("Mul", ["scores", "gain"], ["logits"]),
            helper.make_node("Unsqueeze", ["new", "zero"], ["new_layer"]),
            helper.make_node("Concat", ["new_layer", "first"], ["state_out"], axis=0),
        ]
        self._save(
            "decoder",
            nodes,
            [
                helper.make_tensor_value_info("token", TensorProto.INT64, ["N"]),
                helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, "N", WIDTH]),
                helper.make_tensor_value_info("rate", TensorProto.INT64, []),
            ],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASS_COUNT]),
                helper.make_tensor_value_info("state_out", TensorProto.FLOAT, [2, "N", WIDTH]),
            ],
            {
                **{name: self.weights[name] for name in ("embedding", "recur", "out")},
                "zero": np.array([0]),
                "halves": np.array([1, 1]),
                "per_rate": np.float32(1 / 16_000),
            },
        )

    def _save(self, name: str, nodes: list, inputs: list, outputs: list, constants: dict) -> None:
        held = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
        graph = helper.make_graph(nodes, name, inputs, outputs, held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        check_model(model, full_check=True)
        save_model(model, self.folder / f"{name}.onnx")
