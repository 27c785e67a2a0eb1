"""Sums over what oneDNN tells."""

from gluon_tricks.benching.kernels import kernel_sums, last_turn

LINE = ("dnnl_verbose,exec,cpu,{},{},src_f32::blocked:aBcd16b:f0 "
        "dst_f32::blocked:abcd:f0,,alg:x,128x16x32x32,{}\n")
LINES = [LINE.format("reorder", "jit:uni,undef", 1.5), LINE.format("reorder", "jit:uni,undef", 0.5),
         LINE.format("sum", "simple:any,undef", 3), "dnnl_verbose,info,cpu,runtime:OpenMP\n",
         "something else\n"]


def test_times_add_up_by_kernel():
    assert kernel_sums(LINES) == {("reorder", "jit:uni", "undef"): (2.0, 2),
                                  ("sum", "simple:any", "undef"): (3.0, 1)}
    assert kernel_sums(LINES, least=True)["reorder", "jit:uni", "undef"] == (1.0, 2)     # twice the 0.5
    ((_, _, _, layouts, shape), _), *_ = kernel_sums(LINES, layouts=True).items()
    assert (layouts, shape) == ("src_f32::blocked:aBcd16b:f0 dst_f32::blocked:abcd:f0", "128x16x32x32")


def test_only_the_last_turn_counts():
    output = ["start\n", '{"parameters": 1}\n', "warm-up\n", '{"rate": 1}\n', *LINES, '{"rate": 2}\n',
              "at exit\n"]
    assert last_turn(output) == LINES
    assert last_turn(LINES) == LINES
