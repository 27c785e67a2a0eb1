"""Emulate a float16 net on CPUs: rewrite its graph to compute in float32 and round to float16 (§3.2).

MXNet 1.9.1 has no float16 convolution on CPUs. A net cast to float16 keeps its float16 parameters, and its
inputs, outputs and gradients are float16, so optimizer, loss scale and files are those of a GPU. Between
them, the types that the net would have on a GPU decide:

    float16 input, parameter    cast to float32, which changes no value; its gradient is rounded to float16
    operator                    in float32: the sums inside are float32, as in Tensor Cores
    float16 output              rounded to float16, and so is its gradient: beyond 65504 it becomes infinite,
                                below 2^-25 it becomes 0
    float32 output              not rounded: BatchNorm's parameters and statistics, all within GroupNorm
    output with many readers    each one's gradient is rounded, then their sum

Nothing is rounded where an operator only selects or moves float16 values (`MOVES`) and the rounding before it
does the same. Rounding is to even, as NumPy's, also for subnormal numbers: by `float16_round`, or by a cast
to float16 and back, whose backward is a cast of the gradient.

What differs from a GPU: the order of float32 sums; the mean over height and width, which MXNet sums in
float16; with three and more readers the sum of their gradients, rounded here once and there after each
addition.
"""

import json

from mxnet import symbol

from gluon_tricks.models.float16_round import OPERATOR, compiled

HALF = "float16"
# Operators whose outputs are elements of their inputs, and whose input gradients are elements of the output
# gradients or zero
MOVES = {"Activation", "relu", "Flatten", "Reshape", "reshape", "reshape_like", "transpose", "expand_dims",
         "squeeze", "Concat", "SliceChannel", "slice", "slice_axis", "_copy", "identity", "BlockGrad",
         "SwapAxis"}
ADDS = {"elemwise_add", "add_n", "_plus", "broadcast_add"}          # whose input gradients are moved, too
MOST_OUTPUTS = 64                          # of one operator; the graph does not give their number


def emulated(graph, types):
    """The symbol of a float16 net, rewritten to compute in float32.

    Parameters
    ----------
    graph : Symbol
        As traced from a net that was cast to float16.
    types : dict
        Name of each input and parameter -> its type.

    Returns
    -------
    Symbol
        With the same inputs and outputs in the same order, and the same types.
    """
    source = json.loads(graph.tojson(remove_amp_cast=False))
    within = graph.get_internals()
    names = within.list_outputs()
    inferred = within.infer_type(**{name: types[name] for name in graph.list_inputs()})[1]
    half = {name for name, kind in zip(names, inferred) if kind.__name__ == HALF}
    result = _Graph(source, half)
    for number, node in enumerate(source["nodes"]):
        result.add(number, node)
    return symbol.load_json(result.to_json())


class _Graph:
    """The graph being written. An entry is [node, output, version], as in MXNet's JSON."""

    def __init__(self, source, half):
        self.old, self.heads, self.attrs = source["nodes"], source["heads"], source["attrs"]
        self.half = half                       # names of outputs that are float16 on a GPU
        self.nodes, self.entries = [], {}      # entries: (old node, output) -> new entry, in float32
        self.readers = {}                      # (old node, output) -> how often it is read
        for node in [*self.old, {"inputs": self.heads}]:
            for entry in node["inputs"]:
                key = entry[0], entry[1]
                self.readers[key] = self.readers.get(key, 0) + 1

    def add(self, number, node):
        """Write one old node, and the roundings that it needs."""
        op, name, attrs = node["op"], node["name"], node.get("attrs", {})
        if op == "null":
            here = self.put(op, name, attrs, [])
            self.entries[number, 0] = self.put("Cast", f"{name}_float32", {"dtype": "float32"}, [here]
                                               ) if name in self.half else here
            return
        inputs = [self.input_of(number, op, place, entry) for place, entry in enumerate(node["inputs"])]
        if op in ("Cast", "amp_cast"):
            here = inputs[0]
        else:
            here = self.put(op, name, attrs, inputs)
        moved = is_move(op, attrs) and not any(self.is_shared(entry) for entry in node["inputs"])
        for output in range(self.outputs_of(number)):
            entry = [here[0], here[1] + output, 0]
            if self.is_half(number, output) and not moved:
                entry = self.rounded(entry, f"{name}_{output}")
            self.entries[number, output] = entry

    def input_of(self, number, op, place, old):
        """The new entry of an input; its gradient is rounded if others read it, too."""
        entry = [*self.entries[old[0], old[1]][:2], old[2]]
        moves_gradient = op in ADDS or is_move(op, self.old[number].get("attrs", {}))
        if self.is_half(old[0], old[1]) and self.is_shared(old) and not moves_gradient:
            return self.rounded(entry, f"{self.old[number]['name']}_input{place}")
        return entry

    def rounded(self, entry, name):
        """Round an entry to float16, and its gradient in the backward."""
        if compiled():
            return self.put("Custom", f"{name}_rounded", {"op_type": OPERATOR}, [entry])
        low = self.put("Cast", f"{name}_float16", {"dtype": HALF}, [entry])
        return self.put("Cast", f"{name}_rounded", {"dtype": "float32"}, [low])

    def put(self, op, name, attrs, inputs):
        """Write a node; returns its first entry."""
        self.nodes.append({"op": op, "name": name, "inputs": inputs, **({"attrs": attrs} if attrs else {})})
        return [len(self.nodes) - 1, 0, 0]

    def is_shared(self, old):
        return self.readers[old[0], old[1]] > 1

    def outputs_of(self, number):
        """One more than the highest output of an old node that is read."""
        return 1 + max((output for output in range(MOST_OUTPUTS) if (number, output) in self.readers),
                       default=0)

    def is_half(self, number, output):
        """Whether an output of an old node is float16 on a GPU."""
        name = self.old[number]["name"]
        if self.old[number]["op"] == "null":
            return name in self.half
        return any(f"{name}_{end}" in self.half for end in (f"output{output}", *["output"] * (not output)))

    def to_json(self):
        heads = []
        for old in self.heads:
            entry = self.entries[old[0], old[1]]
            if self.is_half(old[0], old[1]):
                entry = self.put("Cast", f"{self.old[old[0]]['name']}_head{old[1]}", {"dtype": HALF}, [entry])
            heads.append(entry)
        arguments = [number for number, node in enumerate(self.nodes) if node["op"] == "null"]
        return json.dumps({"nodes": self.nodes, "arg_nodes": arguments, "heads": heads, "attrs": self.attrs})


def is_move(op, attrs):
    """Whether an operator only selects or moves values, forward and backward."""
    return op in MOVES and attrs.get("act_type", "relu") == "relu"
