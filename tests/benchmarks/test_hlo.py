"""Kernels and loops read off the text of compiled programs, whose counts are known."""

# ruff: noqa: E501

import pytest

from benchmarks.common.hlo import Program, scope

GPU = """HloModule jit_f

%inner (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]{0}) parameter(0)
  %gte = s32[] get-tuple-element(%p), index=0
  %step = s32[] fusion(%gte), kind=kLoop, calls=%fused
  %copy.1 = f32[8]{0} copy(%x)
  ROOT %t = (s32[], f32[8]{0}) tuple(%step, %copy.1)
}

%until (p.1: (s32[], f32[8])) -> pred[] {
  %p.1 = (s32[], f32[8]{0}) parameter(0)
  %gte.1 = s32[] get-tuple-element(%p.1), index=0
  %bound = s32[] constant(5)
  ROOT %lt = pred[] compare(%gte.1, %bound), direction=LT
}

%outer (q: (s32[], f32[8])) -> (s32[], f32[8]) {
  %q = (s32[], f32[8]{0}) parameter(0)
  %first = (s32[], f32[8]{0}) while(%q), condition=%until, body=%inner, metadata={op_name="jit(f)/generations/while/body/vmap(retries)/while"}
  ROOT %sum = (s32[], f32[8]{0}) custom-call(%first), custom_call_target="gemm"
}

%some (r: (s32[], f32[8])) -> pred[] {
  %r = (s32[], f32[8]{0}) parameter(0)
  ROOT %any = pred[] fusion(%r), kind=kLoop, calls=%fused
}

%less (s: f32[8]) -> f32[8] {
  ROOT %s = f32[8]{0} parameter(0)
}

%more (u: f32[8]) -> f32[8] {
  %u = f32[8]{0} parameter(0)
  %all-reduce-start.1 = f32[8]{0} all-reduce-start(%u), to_apply=%sum
  ROOT %all-reduce-done.1 = f32[8]{0} all-reduce-done(%all-reduce-start.1)
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %known = (s32[], f32[8]{0}) while(%a), condition=%some, body=%inner, metadata={op_name="jit(f)/while"}, backend_config={"known_trip_count":{"n":"3"}}
  %search = (s32[], f32[8]{0}) while(%known), condition=%some, body=%outer, metadata={op_name="jit(f)/generations/while"}
  %chosen = f32[8]{0} conditional(%flag, %a, %a), branch_computations={%less, %more}
  ROOT %out = f32[8]{0} bitcast(%chosen)
}
"""


def test_kernels_are_counted_as_often_as_their_loop_turns():
    program = Program(GPU)
    # Three turns of a body of two kernels and a condition of one; a search of unknown turns, in each of them five turns
    # of a loop whose condition compares; and the larger branch.
    assert program.kernels() == 3 * (2 + 1) + (5 * (2 + 1) + 1 + 1) + 1
    (generation,) = program.bodies("generations")
    assert program.kernels(generation) == 5 * 3 + 1
    assert program.kernels(generation, turns={"retries": 2}) == 2 * 3 + 1
    assert program.kernels(generation, turns={"retries": 0}) == 1


def test_loops_have_their_turns_and_their_place():
    loops = Program(GPU).loops
    assert [(loop.trips, loop.depth, scope(loop.op_name)) for loop in loops] == [
        (3, 0, "jit(f)".removeprefix("jit(").removesuffix(")")),
        (None, 0, "generations"),
        (5, 1, "retries"),
    ]


def test_exchange_between_devices_is_seen():
    assert Program(GPU).collectives == ["all-reduce-start", "all-reduce-done"]


def test_what_a_tpu_does_beside_its_kernels_is_not_counted():
    tpu = """HloModule jit_f

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0:T(128)} parameter(0)
  %add.1 = s32[]{:T(128)S(6)} add(%n, %one)
  %copy-start.1 = (f32[8]{0:T(128)S(1)}, f32[8]{0:T(128)}, u32[]{:S(2)}) copy-start(%a)
  %copy-done.1 = f32[8]{0:T(128)S(1)} copy-done(%copy-start.1)
  ROOT %fusion.1 = f32[8]{0:T(128)} fusion(%copy-done.1, /*index=1*/%add.1), kind=kLoop, calls=%fused
}
"""
    assert Program(tpu).kernels() == 1


def test_text_that_holds_no_operation_is_refused():
    with pytest.raises(ValueError, match="no operation in the instruction x"):
        Program("ENTRY %main (a: f32[8]) -> f32[8] {\n  ROOT %x = f32[8]{0} ???\n}\n")
