"""Rewrite a net's graph in operators that are faster on CPUs, with the same values and gradients.

MXNet 1.9.1 computes a hybridized net from a graph of operators. `speed_up` rewrites that graph before it is
compiled; blocks, parameters and their names do not change, so nets of GluonCV's zoo gain as much. The
rewrites and their reasons (times in docs/performance.md):

    BatchNorm, relu      one operator: oneDNN keeps a bit per element for the backward instead of reading and
                         writing the activations two more times. Not next to groups of 4 or 8 channels: see
                         `has_narrow_groups`
    F.relu(x)            Activation, which oneDNN computes; MXNet's own loop over bfloat16 took two thirds of
                         a step of the CIFAR nets that call it
    a + b                add_n: the backward of + copies its gradient to both sides, that of add_n passes it
                         on
    global average       mean over height and width of a pooling of 1 x 1. The backward of oneDNN's global
                         pooling gives CIFAR nets a layout (`acdB16b`) for which BatchNorm has no vectorised
                         kernel. That of a plain mean gives NCHW, which every layer below then keeps or
                         reorders. The pooling of 1 x 1, which changes no value, passes on blocks of 16
                         channels
    pooling of 1 x 1     removed: the first average of ResNet-D's path B
    average of 2 x 2     of path B: "full" (rounding sizes up) becomes "valid" where the size is even. With
                         "full" MXNet checks the gradient's size instead of the image's and uses its own slow
                         backward
    casts to bfloat16    removed where the array already is bfloat16: each copied the array
    first convolution    under bfloat16: images and weights get channels of zeros, 16 in all. oneDNN has no
                         bfloat16 kernel for 3, and its fallback gives NCHW, also to every layer that follows
"""

import json

from mxnet import symbol


def speed_up(net, before=None):
    """Make a net compile its rewritten graph, now and after each later `hybridize`.

    The graph is traced at the first call after `hybridize`, as usual: the net may check then whether it is
    training. If an average over 2 x 2 had an even size in that call, it must have one in later calls.

    Parameters
    ----------
    net : HybridBlock
        With one input; hybridized or not yet.
    before : callable, (Symbol, types by name) -> Symbol, optional
        Another rewrite of the traced graph, which comes first.
    """
    if "_get_graph" in vars(net):          # already done
        return
    trace = net._get_graph

    def fast_graph(data):
        if not net._cached_graph:
            inputs, graph = trace(data)
            if before:
                types = {name: param.dtype for name, param in net.collect_params().items()}
                graph = before(graph, {**types, inputs[0].name: data.dtype})
            net._cached_graph = inputs, rewritten(graph, inputs[0].name, data.shape)
        return net._cached_graph

    net._get_graph = fast_graph


def leave_as_traced(net):
    """Undo `speed_up`: graphs compiled or exported later have the blocks' own operators, for any device."""
    if vars(net).pop("_get_graph", None):
        net._clear_cached_op()


def rewritten(graph, data, shape):
    """Rewrite a symbol for an input `data` of that shape; inputs, outputs and their order do not change."""
    source = json.loads(graph.tojson(remove_amp_cast=False))
    within = graph.get_internals()
    shapes = dict(zip(within.list_outputs(), within.infer_shape(**{data: shape})[1]))
    result = _Graph(source, data, shapes)
    for number, node in enumerate(source["nodes"]):
        result.add(number, node)
    return symbol.load_json(result.to_json())


class _Graph:
    """The graph being written. An entry is [node, output, version], as in MXNet's JSON."""

    def __init__(self, source, data, shapes):
        self.data, self.shapes = data, shapes
        self.old, self.heads, self.attrs = source["nodes"], source["heads"], source["attrs"]
        self.nodes, self.entries = [], {}      # entries: (old node, output) -> new (node, output)
        self.low = set()                       # old nodes whose first output is bfloat16
        self.readers = {}                      # (old node, output) -> numbers of the old nodes that read it
        for number, node in enumerate([*self.old, {"inputs": self.heads}]):
            for entry in node["inputs"]:
                self.readers.setdefault((entry[0], entry[1]), []).append(number)

    def add(self, number, node):
        """Copy an old node, rewritten if a rule applies."""
        if node["op"] == "relu":
            node = {**node, "op": "Activation", "attrs": {"act_type": "relu"}}
        op, attrs = node["op"], node.get("attrs", {})
        inputs = [self.entry(entry) for entry in node["inputs"]]
        if self.is_bfloat16(op, attrs, node["inputs"]):
            self.low.add(number)
        if op in ("amp_cast", "amp_multicast") and self.casts_nothing(number, node["inputs"]):
            self.entries.update({(number, output): tuple(entry[:2]) for output, entry in enumerate(inputs)})
        elif op == "Activation" and attrs["act_type"] == "relu" and self.ends_in_norm(number, node):
            norm = self.nodes[inputs[0][0]]
            norm["op"] = "_contrib_BatchNormWithReLU"
            self.entries[number, 0] = tuple(inputs[0][:2])
        elif op == "elemwise_add":
            self.put(number, "add_n", node["name"], {"num_args": "2"}, inputs)
        elif is_global_average(op, attrs):
            self.average(number, node)
        elif is_1x1_pooling(op, attrs):
            self.entries[number, 0] = tuple(inputs[0][:2])
        elif op == "Pooling" and attrs.get("pooling_convention") == "full" and self.halves(attrs,
                                                                                           node["inputs"][0]):
            self.put(number, op, node["name"], {**attrs, "pooling_convention": "valid"}, inputs)
        elif op == "Convolution" and attrs["num_group"] == "1" and self.is_cast_input(node["inputs"][0]):
            self.put(number, op, node["name"], attrs, [*map(self.widened, node["inputs"][:2]), *inputs[2:]])
        else:
            self.put(number, op, node["name"], attrs, inputs)

    def average(self, number, node):
        """Write a mean over height and width; its output is float32."""
        before = node["inputs"][0]
        low, before = before[0] in self.low or self.source_of(before)[0] in self.low, self.source_of(before)
        attrs = {"kernel": "(1, 1)", "stride": "(1, 1)", "pool_type": "avg"}
        images = self.put(None, "Pooling", f"{node['name']}_1x1", attrs, [self.entry(before)])
        if low:                            # after the pooling: a cast's backward always gives NCHW
            images = self.put(None, "amp_cast", f"{node['name']}_float32", {"dtype": "float32"}, [images])
        self.put(number, "mean", node["name"], {"axis": "(2, 3)", "keepdims": "True"}, [images])
        self.low.discard(number)

    def widened(self, cast):
        """Append channels of zeros to an array that AMP casts, then cast it."""
        cast = self.old[cast[0]]
        array, name = self.entry(cast["inputs"][0]), cast["name"]
        one = self.put(None, "slice_axis", f"{name}_channel", {"axis": "1", "begin": "0", "end": "1"},
                       [array])
        zeros = self.put(None, "zeros_like", f"{name}_zeros", {}, [one])
        parts = [array] + (WIDE - self.shapes[self.data][1]) * [zeros]
        wide = self.put(None, "Concat", f"{name}_wide", {"num_args": str(len(parts)), "dim": "1"}, parts)
        return self.put(None, "amp_cast", name, cast["attrs"], [wide])

    def put(self, number, op, name, attrs, inputs):
        """Write a node that replaces the old one of that number, if any; returns its first entry."""
        here = len(self.nodes)
        self.nodes.append({"op": op, "name": name, "inputs": inputs, **({"attrs": attrs} if attrs else {})})
        if number is not None:
            self.entries.update({(number, output): (here, output) for output in range(MOST_OUTPUTS)})
        return [here, 0, 0]

    def entry(self, old):
        """The new entry of an old one."""
        return [*self.entries[old[0], old[1]], old[2]]

    def is_bfloat16(self, op, attrs, inputs):
        """Whether a node's first output is certainly bfloat16, judged by AMP's casts before it."""
        if op == "amp_cast":
            return attrs["dtype"] == "bfloat16"
        if op == "amp_multicast" or op == "elemwise_add":
            return all(entry[0] in self.low for entry in inputs)
        return op in ("Convolution", "BatchNorm", "Activation", "Pooling") and inputs[0][0] in self.low

    def casts_nothing(self, number, inputs):
        """Whether a cast to bfloat16 has only bfloat16 inputs."""
        return number in self.low and all(entry[0] in self.low for entry in inputs)

    def ends_in_norm(self, number, relu):
        """Whether only this relu reads a BatchNorm after a convolution, in layouts for one operator."""
        before = relu["inputs"][0]
        norm = self.old[before[0]]
        if norm["op"] != "BatchNorm" or len(self.readers[before[0], before[1]]) > 1:
            return False
        source = self.source_node(norm["inputs"][0])
        return source["op"] == "Convolution" and not any(map(has_narrow_groups,
                                                             [source, *self.read_by(number)]))

    def read_by(self, number):
        """The old nodes that read a node's first output, behind AMP's casts."""
        for reader in self.readers.get((number, 0), ()):
            if reader < len(self.old):         # not the caller, which reads the heads
                node = self.old[reader]
                yield from self.read_by(reader) if node["op"] == "amp_cast" else [node]

    def halves(self, attrs, before):
        """Whether a pooling of 2 x 2 exactly halves height and width."""
        name = self.old[before[0]]["name"]
        size = self.shapes.get(f"{name}_output", (0, 0, 1, 1))[2:]
        return (attrs["kernel"], attrs["stride"], attrs["pad"]) == ("(2, 2)", "(2, 2)", "(0, 0)") and not any(
            length % 2 for length in size)

    def is_cast_input(self, entry):
        """Whether an entry is the net's input, cast by AMP."""
        node = self.old[entry[0]]
        return node["op"] == "amp_cast" and self.old[node["inputs"][0][0]]["name"] == self.data

    def source_of(self, entry):
        """The input of AMP's cast if an old entry is one, else the entry."""
        node = self.old[entry[0]]
        return node["inputs"][0] if node["op"] == "amp_cast" else entry

    def source_node(self, entry):
        return self.old[self.source_of(entry)[0]]

    def to_json(self):
        arguments = [number for number, node in enumerate(self.nodes) if node["op"] == "null"]
        return json.dumps({"nodes": self.nodes, "arg_nodes": arguments,
                           "heads": [self.entry(head) for head in self.heads], "attrs": self.attrs})


WIDE = 16              # channels of a block in oneDNN's layouts
MOST_OUTPUTS = 64      # of one operator; the graph does not give their number


def has_narrow_groups(node):
    """Whether a node convolves channels in groups that fill no block, as in ResNeXt 32x4d.

    oneDNN then has blocks of 4 or 8 channels. Together with blocks of 16 in images or gradient it has no
    BatchNorm with ReLU: MXNet ends with "could not create a primitive descriptor iterator". Groups of one
    channel (MobileNet) have blocks of 16.
    """
    if node["op"] != "Convolution":
        return False
    groups, channels = int(node["attrs"]["num_group"]), int(node["attrs"]["num_filter"])
    return 1 < groups < channels and channels // groups % WIDE != 0


def is_global_average(op, attrs):
    """`nn.GlobalAvgPool2D` of GluonCV's nets, or the mean over height and width of ours."""
    if op == "Pooling":
        return attrs.get("global_pool") == "True" and attrs.get("pool_type") == "avg"
    return op == "mean" and attrs.get("axis") == "(2, 3)" and attrs.get("keepdims") == "True"


def is_1x1_pooling(op, attrs):
    return (op == "Pooling" and attrs.get("global_pool", "False") == "False"
            and attrs.get("kernel") == "(1, 1)"
            and attrs.get("stride") == "(1, 1)" and attrs.get("pad", "(0, 0)") == "(0, 0)")
