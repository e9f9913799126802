"""services.engine.transfer: declare, order, evaluate, isolate."""

import math
import signal
from dataclasses import replace

import numpy as np
import pytest

from reafference import codec
from reafference.codec import INLINE_BELOW
from reafference.errors import BadExperiment, PortMismatch, ScriptError
from reafference.frames import Edited, FunctionsNote, Port, Ports, Stream, Values
from tests.engine.toys import BRAIN, PORTS, declared, made, port

# Functions that take too long are cut off with the alarm clock that pytest-timeout would use too.
pytestmark = pytest.mark.timeout(120, method="thread")


def switched_off(transfer, step=5):
    """Evaluate once; the one message that is expected."""
    (message,) = transfer.evaluate(step * 20_000_000, step)
    assert transfer.switched_off() == [message.function]
    return message


# --- reading and writing ------------------------------------------------------------------------------------


def test_a_function_reads_writes_and_is_called_once():
    transfer = made(
        """
        @transfer(reads=["brain.M1_L1", "body.position.elbow"], writes="body.Foot2")
        def drive(voltage_mV, angle_rad):
            calls.append((voltage_mV, angle_rad))
            return voltage_mV / 2 + angle_rad
        calls = []
        """
    )
    transfer.values["brain"]["readout.voltage"] = np.array([0.5, 9.0])
    transfer.values["body"]["joints.position"] = np.array([0.25, 9.0])
    assert transfer.evaluate(100_000_000, 5) == []
    assert list(transfer.inputs["body"]["excitation"]) == [0.0, 0.5, 0.0, 0.0]
    calls = transfer.functions[0].declaration.function.__globals__["calls"]
    assert calls == [(0.5, 0.25)]


def test_scalars_come_as_python_numbers_and_arrays_as_read_only_views():
    transfer = made(
        """
        @transfer(reads=["body.ticks", "brain.M1_L1", "brain.voltage", "body.eye", "brain.sender"])
        def look(ticks, one, both, image, sender):
            assert type(ticks) is int, type(ticks)
            assert type(one) is float, type(one)
            assert both.shape == (2,) and not both.flags.writeable
            assert image.shape == (2, 2) and image.dtype == "u1"
            assert sender.shape == (0,)
        """
    )
    assert transfer.evaluate(0, 0) == []


def test_who_writes_into_what_it_read_is_switched_off_and_the_value_stays():
    transfer = made(
        """
        @transfer(reads="brain.voltage", writes="body.Foot2")
        def rude(voltage):
            voltage[0] = 1.0
            return 0.0
        """
    )
    assert "read-only" in switched_off(transfer).text
    assert list(transfer.values["brain"]["readout.voltage"]) == [0.0, 0.0]


def test_before_the_first_step_resting_values_are_read_and_kept_where_nobody_writes():
    ports = {
        "brain": Ports(
            inputs=(port("drive", (2,), rest=np.array([7.0, 8.0])),),
            outputs=(port("sinks.v", (), rest=np.array(-65.0)),),
        )
    }
    transfer = made(
        """
        @transfer(reads="brain.v", writes="brain.drive")
        def hold(v):
            seen.append(v)
            return None
        seen = []
        """,
        ports=ports,
    )
    transfer.evaluate(0, 0)
    assert transfer.functions[0].declaration.function.__globals__["seen"] == [-65.0]
    assert list(transfer.inputs["brain"]["drive"]) == [7.0, 8.0]


def test_a_large_input_can_be_written_again_after_it_was_sent():
    size = INLINE_BELOW // 8
    ports = {"brain": Ports(inputs=(port("drive", (size,)),), outputs=())}
    transfer = made(
        """
        import numpy
        @transfer(writes="brain.drive")
        def drive(step):
            return numpy.full(8192, float(step))
        """,
        ports=ports,
    )
    sent = []
    for step in range(3):
        assert transfer.evaluate(0, step) == []
        stream = Stream(step=step, t_ns=0, arrays=transfer.inputs["brain"])
        sent.append(codec.encode(stream, run="r", src="engine", topic=b"r/engine/inputs/brain/"))
    for step, packed in enumerate(sent):
        assert (codec.decode(packed.parts()).frame.arrays["drive"] == step).all()


def test_want_is_the_ports_that_functions_read():
    transfer = made(
        """
        @transfer(reads=["brain.M1_L1", "brain.rate.A", "body.y"], writes="body.Foot2")
        def f(a, b, c): return 0.0
        @transfer(reads="brain.M1_L23", active=False)
        def g(a): ...
        """
    )
    assert transfer.want("brain") == ("rates.rate", "readout.voltage")
    assert transfer.want("body") == ("tip.position",)
    assert transfer.want("nobody") == ()


# --- order ---------------------------------------------------------------------------------------------------


def test_functions_that_write_to_the_brain_run_first_then_by_priority_then_by_name():
    transfer = made(
        """
        @transfer(writes="body.Foot1", priority=9)
        def a_body_high(): ...
        @transfer(writes="body.Foot1")
        def c_body(): ...
        @transfer(writes="body.Foot1")
        def b_body(): ...
        @transfer()
        def a_monitor(): ...
        @transfer(writes="brain.bias")
        def z_brain(): ...
        @transfer(writes=["body.Foot1", "brain.bias"])
        def y_both(): ...
        @transfer(writes="brain.bias", priority=-1)
        def a_brain_low(): ...
        """
    )
    names = [function.name for function in transfer.functions]
    assert names == ["y_both", "z_brain", "a_brain_low", "a_body_high", "a_monitor", "b_body", "c_body"]


def test_a_later_function_writes_over_an_earlier_one():
    transfer = made(
        """
        @transfer(writes="body.excitation", priority=1)
        def base(): return [0.1, 0.2, 0.3, 0.4]
        @transfer(writes="body.Foot2")
        def one(): return 0.9
        """
    )
    transfer.evaluate(0, 0)
    assert list(transfer.inputs["body"]["excitation"]) == [0.1, 0.9, 0.3, 0.4]


# --- results ---------------------------------------------------------------------------------------------------


def returning(text, writes='["body.Foot1", "body.Foot2", "body.Humerus1"]'):
    return made(
        f"""
        import numpy as np
        @transfer(writes={writes})
        def f(): return {text}
        """
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", [0.5, 0.5, 0.5]),
        ("1", [1.0, 1.0, 1.0]),
        ("True", [1.0, 1.0, 1.0]),
        ("np.float32(0.5)", [0.5, 0.5, 0.5]),
        ("np.array(0.5)", [0.5, 0.5, 0.5]),
        ("[0.1, 0.2, 0.3]", [0.1, 0.2, 0.3]),
        ("(0.1, 0.2, 0.3)", [0.1, 0.2, 0.3]),
        ("np.array([0.1, 0.2, 0.3])", [0.1, 0.2, 0.3]),
        ("[0.1, None, 0.3]", [0.1, 0.7, 0.3]),
        ("None", [0.7, 0.7, 0.7]),
        ("{'body.Foot2': 0.2}", [0.7, 0.2, 0.7]),
        ("{'body.Foot2': 0.2, 'body.Foot1': None}", [0.7, 0.2, 0.7]),
        ("{}", [0.7, 0.7, 0.7]),
    ],
)
def test_results_are_spread_over_what_is_written_and_none_holds(text, expected):
    transfer = returning(text)
    transfer.inputs["body"]["excitation"][:] = 0.7
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["body"]["excitation"]) == pytest.approx([*expected, 0.7])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[0.1, 0.2, 0.3, 0.4]", [0.1, 0.2, 0.3, 0.4]), ("{'body.excitation': (1, 0, 1, 0)}", [1.0, 0.0, 1.0, 0.0])],
)
def test_a_whole_port_is_written_at_once(text, expected):
    transfer = returning(text, '"body.excitation"')
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["body"]["excitation"]) == expected


@pytest.mark.parametrize("text", ["[[1, 2, 3], np.zeros((2, 3)), 5]", "([1, 2, 3], None, 5)"])
def test_several_values_may_have_different_forms(text):
    transfer = returning(text, '["brain.drive", "body.table", "body.gain"]')
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["brain"]["drive"]) == [1.0, 2.0, 3.0]
    assert transfer.inputs["body"]["gain"] == 5


WRONG_FORMS = [
    ('"body.Foot1"', "[0.1, 0.2]", r"returned shape \(2,\) for body.excitation.Foot1: expected a number"),
    ('"body.Foot1"', "'full'", "returned 'full' for body.excitation.Foot1: expected a number"),
    ('"brain.bias"', "'full'", "expected a number in pA"),
    ('"brain.drive"', "1.0", r"returned shape \(\) for brain.drive: expected an array of shape \(3,\) in Hz"),
    ('"brain.drive"', "[1, 2]", r"expected an array of shape \(3,\) in Hz"),
    ('"brain.drive"', "[1, 'two', 3]", "returned"),
    ('"body.table"', "np.zeros((3, 2))", r"returned shape \(3, 2\) for body.table"),
    ('["body.Foot1", "body.Foot2"]', "[0.1]", "returned 1 values but writes to 2 ports: return one number for all"),
    ('["body.Foot1", "body.Foot2"]', "[0.1, 0.2, 0.3]", "returned 3 values but writes to 2 ports"),
    ('["body.Foot1", "body.Foot2"]', "[0.1, [0.2]]", r"returned shape \(1,\) for body.excitation.Foot2"),
    ('"body.Foot1"', "{'body.Foot2': 1}", r"a value for 'body.Foot2', which it does not write to \(did you mean"),
    ('"body.Foot1"', "{1: 1}", "a value for 1, which it does not write to"),
]


@pytest.mark.parametrize(("writes", "text", "words"), WRONG_FORMS)
def test_a_wrong_form_before_the_first_step_is_a_port_mismatch(writes, text, words):
    with pytest.raises(PortMismatch, match=f"transfer function 'f' .*{words}"):
        returning(text, writes).evaluate(0, 0)


@pytest.mark.parametrize(("writes", "text", "words"), WRONG_FORMS)
def test_a_wrong_form_later_switches_the_function_off(writes, text, words):
    transfer = returning(text, writes)
    message = switched_off(transfer, step=1)
    assert message.text.endswith("; it is switched off and its last values are held")
    assert message.type == "runtime"


@pytest.mark.parametrize(
    ("writes", "text", "words"),
    [
        ('"body.Foot1"', "float('nan')", "returned NaN for body.excitation.Foot1"),
        ('"brain.bias"', "-float('inf')", "returned -inf for brain.bias"),
        ('"brain.drive"', "[1, np.nan, np.inf]", "returned NaN for brain.drive"),
        ('"body.Foot1"', "1.5", "returned 1.5 for body.excitation.Foot1: expected 1 or less"),
        ('"body.Foot1"', "-1e-9", "returned -1e-09 for body.excitation.Foot1: expected 0 or more"),
        ('"body.excitation"', "[0, 0, 0, 2]", "returned 2 for body.excitation: expected 1 or less"),
        ('"brain.drive"', "[0, 0, -3]", "returned -3 for brain.drive: expected 0 or more"),
    ],
)
@pytest.mark.parametrize("step", [0, 7])
def test_a_number_that_cannot_be_switches_the_function_off_at_any_step(writes, text, words, step):
    transfer = returning(text, writes)
    message = switched_off(transfer, step)
    assert message.text == f"transfer function 'f' {words}; it is switched off and its last values are held"
    assert (message.step, message.t_ns) == (step, step * 20_000_000)


def test_limits_themselves_are_allowed():
    transfer = returning("[0.0, 1.0, 0.5]")
    assert transfer.evaluate(0, 0) == []


def test_a_bad_value_in_second_place_leaves_no_half_result():
    transfer = returning("[0.1, 5.0, 0.3]")
    switched_off(transfer)
    assert list(transfer.inputs["body"]["excitation"]) == [0.0, 0.0, 0.0, 0.0]


def test_a_number_for_an_integer_port_becomes_one():
    transfer = returning("3.0", '"body.gain"')
    assert transfer.evaluate(0, 0) == []
    assert transfer.inputs["body"]["gain"].dtype == np.int64


# --- isolation ---------------------------------------------------------------------------------------------------


def test_a_function_that_raises_is_switched_off_and_the_others_go_on():
    transfer = made(
        """
        import math

        @transfer(writes="body.Foot1", priority=2)
        def good(step):
            return min(step / 10, 1.0)

        @transfer(reads="body.y", writes="body.Foot2", priority=1)
        def bad(y):
            if y > 1:
                return math.sqrt(1 - y)
            return 0.25

        @transfer(writes="body.Humerus1")
        def last():
            return 0.75
        """
    )
    assert transfer.evaluate(0, 0) == []
    transfer.values["body"]["tip.position"] = np.array([0.0, 2.0, 0.0])
    (message,) = transfer.evaluate(60_000_000, 3)
    assert (message.function, message.line, message.line_text) == ("bad", 11, "return math.sqrt(1 - y)")
    assert message.file == "/experiment/transfer.py"
    assert (message.step, message.severity, message.type, message.source) == (
        3,
        "error",
        "runtime",
        "transfer function",
    )
    assert message.text == (
        "transfer function 'bad': ValueError: math domain error; it is switched off and its last values are held"
    )
    assert transfer.evaluate(80_000_000, 4) == []
    assert list(transfer.inputs["body"]["excitation"]) == [0.4, 0.25, 0.75, 0.0]
    assert transfer.switched_off() == ["bad"]


def test_the_line_is_the_users_even_if_the_error_comes_from_a_library():
    transfer = made(
        """
        import numpy as np

        def helper(values):
            return np.reshape(values, (7,))

        @transfer(reads="brain.voltage", writes="body.Foot2")
        def f(voltage):
            return helper(voltage)
        """
    )
    message = switched_off(transfer)
    assert (message.line, message.line_text) == (5, "return np.reshape(values, (7,))")


@pytest.mark.parametrize(
    ("body", "phrase"),
    [
        ("raise SystemExit('enough')", "SystemExit: enough"),
        ("exit()", "SystemExit"),
        ("raise Exception", "Exception"),
        ("return undefined", "NameError: name 'undefined' is not defined"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("return f()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_no_way_of_failing_gets_past_the_isolation(body, phrase):
    transfer = made(
        f"""
        @transfer(writes="body.Foot2")
        def f():
            {body}
        """
    )
    message = switched_off(transfer)
    assert message.text.startswith(f"transfer function 'f': {phrase}")
    assert message.line == 4


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        """
            while True:
                try:
                    while True: pass
                except Exception:
                    pass
        """,
        """
            try:
                while True: pass
            finally:
                while True: pass
        """,
    ],
)
def test_a_function_that_does_not_come_back_is_switched_off(body):
    transfer = made(
        f"""
        @transfer(writes="body.Foot1", priority=1)
        def endless():
            {body.strip()}

        @transfer(writes="body.Foot2")
        def good():
            return 0.5
        """,
        timeout_s=0.2,
    )
    message = switched_off(transfer)
    assert message.type == "timeout"
    assert message.text.startswith("transfer function 'endless' did not return within 0.2 s; it is switched off")
    assert message.line >= 4
    assert transfer.inputs["body"]["excitation"][1] == 0.5
    assert transfer.evaluate(0, 6) == []


def test_the_limit_is_set_for_each_function_and_for_nothing_else():
    transfer = made(
        """
        import signal

        @transfer(writes="brain.drive", priority=1)
        def first():
            left = signal.getitimer(signal.ITIMER_REAL)[0]
            signal.setitimer(signal.ITIMER_REAL, 0)
            return [left, 0, 0]

        @transfer(writes="brain.bias")
        def second():
            return signal.getitimer(signal.ITIMER_REAL)[0]
        """,
        timeout_s=50.0,
    )
    assert transfer.evaluate(0, 0) == []
    assert 0 < transfer.inputs["brain"]["drive"][0] <= 50
    assert 0 < transfer.inputs["brain"]["bias"] <= 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_alarm_signal_is_given_back_at_the_end():
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        transfer = made("")
        assert signal.getsignal(signal.SIGALRM) is not signal.SIG_IGN
        transfer.close()
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_function_that_is_not_active_is_not_called():
    transfer = made(
        """
        @transfer(writes="body.Foot2", active=False)
        def f(): return 1 / 0
        """
    )
    assert transfer.evaluate(0, 0) == []
    assert transfer.switched_off() == ["f"]


# --- what is injected ------------------------------------------------------------------------------------------


def test_time_step_parameters_state_and_log_are_given_to_whoever_names_them():
    transfer = made(
        """
        @transfer(reads="brain.M1_L1", writes="body.Foot2")
        def f(voltage, t, step, params, state, log):
            state.calls = getattr(state, "calls", 0) + 1
            log.info(f"{t} {step} {params.gain} {state.calls}")
            return params.gain * state.calls

        @transfer(writes="body.Foot1")
        def g(state, *, step):
            assert not hasattr(state, "calls")
            return 0.0
        """,
        {"gain": 0.1},
    )
    assert transfer.evaluate(0, 0) == []
    assert transfer.evaluate(20_000_000, 1) == []
    assert [message.text for message in transfer.said()] == ["0.0 0 0.1 1", "0.02 1 0.1 2"]
    assert transfer.inputs["body"]["excitation"][1] == pytest.approx(0.2)


def test_a_parameter_that_is_not_there_is_named_in_the_message():
    message = switched_off(
        made(
            """
            @transfer(writes="body.Foot2")
            def f(params): return params.gian
            """,
            {"gain": 1},
        )
    )
    assert "has no attribute 'gian'" in message.text


# --- what cannot be declared --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("a, b, c", r"reads 2 values but is defined as f\(a, b, c\): missing a required argument: 'c'"),
        ("a", r"reads 2 values but is defined as f\(a\): too many positional arguments"),
        ("", r"reads 2 values but is defined as f\(\)"),
        ("t, step", r"reads 2 values, which come first, but is defined as f\(t, step\): 't' has another meaning"),
        ("a, b, stpe", r"reads 2 values but is defined as f\(a, b, stpe\).*it may take t, step, params, state, log"),
    ],
)
def test_a_wrong_number_of_arguments_is_refused_with_a_clear_sentence(arguments, words):
    with pytest.raises(BadExperiment, match=f"transfer function 'f' {words}"):
        made(
            f"""
            @transfer(reads=["brain.M1_L1", "body.y"], writes="body.Foot2")
            def f({arguments}): return 0.0
            """
        )


@pytest.mark.parametrize("arguments", ["a, b", "a, b=1.0", "*values", "a, b, extra=3", "a, b, **more"])
def test_arguments_that_can_be_filled_are_taken(arguments):
    transfer = made(
        f"""
        @transfer(reads=["brain.M1_L1", "body.y"], writes="body.Foot2")
        def f({arguments}): return 0.0
        """
    )
    assert transfer.evaluate(0, 0) == []


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ('reads="brain.voltag"', r"transfer function 'f' reads 'brain.voltag'.*did you mean 'voltage'"),
        ('writes="body.Fot1"', r"transfer function 'f' writes to 'body.Fot1'.*did you mean 'Foot1'"),
        ('writes="brain.voltage"', "the brain has no such port"),
        ('reads="body.elbow"', "could be"),
    ],
)
def test_a_port_that_is_not_there_is_refused(declaration, words):
    with pytest.raises(PortMismatch, match=words):
        made(f"@transfer({declaration})\ndef f(*values): ...")


# --- the file -------------------------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_file_line_and_text():
    with pytest.raises(ScriptError) as caught:
        declared("import math\n\ndef f(:\n    pass\n")
    assert caught.value.text.startswith("/experiment/transfer.py, line 3: invalid syntax")
    assert caught.value.text.endswith("\n    def f(:")
    assert caught.value.detail == {"file": "/experiment/transfer.py", "line": 3, "column": 7}


@pytest.mark.parametrize(
    ("text", "line", "phrase"),
    [
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("@transfer(red='brain.x')\ndef f(): ...\n", 1, "TypeError"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ("def g():\n    raise KeyError('a')\ng()\n", 2, "KeyError: 'a'"),
    ],
)
def test_an_error_while_the_file_is_run_is_told_with_its_line(text, line, phrase):
    with pytest.raises(ScriptError, match=phrase) as caught:
        declared(text)
    assert caught.value.detail == {"file": "/experiment/transfer.py", "line": line}
    assert f"line {line}: " in caught.value.text
    assert caught.value.text.endswith("\n    " + text.splitlines()[line - 1].strip())


def test_bytes_that_are_no_source_are_told():
    with pytest.raises(ScriptError, match="null bytes"):
        declared("x = 1\0")


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(ScriptError, match="two transfer functions are called 'f': rename one of them"):
        declared("@transfer()\ndef f(): ...\n@transfer()\ndef f(): ...\n")


def test_a_file_may_import_the_package_and_modules_beside_it(tmp_path, monkeypatch):
    (tmp_path / "beside_the_transfer_file.py").write_text("SCALE = 0.5\n")
    (found,) = declared(
        """
        from beside_the_transfer_file import SCALE
        from reafference import transfer

        @transfer(writes="body.Foot2")
        def f(): return SCALE
        """,
        folder=tmp_path,
    )
    assert found.function() == 0.5
    assert str(tmp_path) not in __import__("sys").path


def test_a_file_without_functions_declares_nothing():
    assert declared("x = 1\n") == []


def test_an_unbounded_port_takes_any_finite_number():
    ports = {"body": Ports(inputs=(Port(name="force", shape=(), dtype="<f8", unit="N"),))}
    transfer = made("@transfer(writes='body.force')\ndef f(): return -1e300", ports=ports)
    assert transfer.evaluate(0, 0) == []
    assert math.isclose(transfer.inputs["body"]["force"], -1e300)


def test_functions_see_only_resting_values_until_something_comes():
    transfer = made("")
    assert set(transfer.values) == set(PORTS)
    assert all((array == 0).all() for arrays in transfer.values.values() for array in arrays.values())


# --- other ports ------------------------------------------------------------------------------------------------


def test_a_function_whose_port_is_gone_rests_until_it_is_back():
    transfer = made(
        """
        @transfer(reads="brain.rates.rate.A", writes="body.gain")
        def gone(a, state):
            state.calls = getattr(state, "calls", 0) + 1
            return state.calls

        @transfer(reads="brain.M1_L1", writes="body.Foot2")
        def stays(v):
            return 0.5
        """
    )
    transfer.evaluate(0, 0)
    fewer = replace(BRAIN, outputs=tuple(p for p in BRAIN.outputs if p.name != "rates.rate"))
    (message,) = transfer.rewire("brain", PORTS | {"brain": fewer}, 3, 60_000_000)
    assert (message.function, message.step, message.t_ns, message.type, message.line) == (
        "gone",
        3,
        60_000_000,
        "loading",
        2,
    )
    assert message.text.endswith("it is not called until there is such a port")
    assert transfer.switched_off() == ["gone"]
    assert transfer.want("brain") == ("readout.voltage",)
    assert transfer.rewire("brain", PORTS | {"brain": fewer}, 4, 80_000_000) == []
    assert transfer.evaluate(80_000_000, 4) == []
    assert transfer.inputs["body"]["gain"] == 1
    assert transfer.rewire("brain", PORTS, 5, 100_000_000) == []
    transfer.evaluate(100_000_000, 5)
    assert transfer.inputs["body"]["gain"] == 2
    assert transfer.switched_off() == []


def test_inputs_keep_their_values_where_the_new_ports_could_have_them():
    transfer = made("@transfer(writes=['brain.drive', 'brain.bias'])\ndef f(): return [5.0, 5.0, 5.0], 7.0\n")
    transfer.evaluate(0, 0)
    drive, bias = BRAIN.inputs
    new = port("extra", rest=np.array(3.0))
    transfer.rewire("brain", PORTS | {"brain": replace(BRAIN, inputs=(replace(drive, high=4.0), bias, new))}, 1, 1)
    assert list(transfer.inputs["brain"]["drive"]) == [0.0, 0.0, 0.0]
    assert (transfer.inputs["brain"]["bias"], transfer.inputs["brain"]["extra"]) == (7.0, 3.0)
    transfer.rewire("brain", PORTS | {"brain": replace(BRAIN, inputs=(replace(drive, shape=(2,)), bias))}, 1, 1)
    assert list(transfer.inputs["brain"]["drive"]) == [0.0, 0.0]
    assert set(transfer.inputs["brain"]) == {"drive", "bias"}


def test_what_a_changed_simulator_gave_is_at_rest_again():
    transfer = made("@transfer(reads='brain.M1_L1', writes='body.gain')\ndef f(x): return 1\n")
    transfer.values["brain"]["readout.voltage"] = np.array([9.0, 9.0])
    transfer.values["body"]["joints.position"] = np.array([1.0, 2.0])
    transfer.rewire("brain", PORTS, 1, 1)
    assert list(transfer.values["brain"]["readout.voltage"]) == [0.0, 0.0]
    assert list(transfer.values["body"]["joints.position"]) == [1.0, 2.0]


def test_modules_beside_a_file_are_loaded_anew_with_it(tmp_path):
    (tmp_path / "beside.py").write_text("seen = []\n")
    text = "import beside\nbeside.seen.append(1)\n@transfer(writes='body.gain')\ndef f(): return len(beside.seen)\n"
    for _ in range(2):
        (declaration,) = declared(text, folder=tmp_path)
        assert declaration.function() == 1


# --- sources that change -------------------------------------------------------------------------------------------

TWO = """
LEVEL = 0.5

@transfer(reads="brain.M1_L1", writes="body.Foot1", priority=2)
def first(v, state):
    state.calls = getattr(state, "calls", 0) + 1
    return LEVEL

@transfer(writes="body.Foot2")
def second():
    return 0.25
"""


def source(body, name="first", arguments="v", decorator='reads="brain.M1_L1", writes="body.Foot1", priority=2'):
    return f"@transfer({decorator})\ndef {name}({arguments}):\n    {body}\n"


def described(transfer, name="first"):
    return next(function for function in transfer.described() if function["name"] == name)


def feet(transfer, step=5):
    transfer.evaluate(step * 20_000_000, step)
    return list(transfer.inputs["body"]["excitation"][:2])


def test_a_replaced_function_sees_the_constants_of_its_file_and_keeps_its_variables():
    transfer = made(TWO)
    assert feet(transfer) == [0.5, 0.25]
    text = source("state.calls += 1; return LEVEL / state.calls", arguments="v, state")
    assert transfer.replace("first", text) == []
    assert feet(transfer) == [0.25, 0.25]
    assert described(transfer)["source"] == text
    assert described(transfer)["line"] == 0


def test_another_name_in_the_definition_renames_and_begins_with_fresh_variables():
    transfer = made(TWO)
    feet(transfer)
    transfer.replace("first", source("return 1.0 if vars(state) else 0.75", "third", "v, state"))
    assert [f.name for f in transfer.functions] == ["third", "second"]
    assert feet(transfer) == [0.75, 0.25]


@pytest.mark.parametrize(
    ("text", "kind", "line", "words"),
    [
        (source("return (1"), "compile", 3, "'(' was never closed"),
        (source("return 1", decorator='reads="brain.M1_L9"'), "loading", 1, "no such port"),
        (source("return 1", arguments="a, b"), "loading", 2, "missing a required argument: 'b'"),
        (source("return 1").replace("@transfer", "@tranfer"), "loading", 1, "did you mean 'transfer'?"),
        ("def first(): ...\n", "loading", 1, "nothing in it has the decorator"),
        ("@transfer()\nclass first:\n    def __init__(self, v): pass\n", "loading", 1, "missing a required argument"),
    ],
)
def test_a_source_that_cannot_be_used_is_kept_with_its_problem_and_not_called(text, kind, line, words):
    transfer = made(TWO)
    feet(transfer)
    (message,) = transfer.replace("first", text)
    assert (message.type, message.function, message.severity) == (kind, "first", "error")
    assert words in message.text
    assert message.text.endswith("; it is not called until it has another source")
    problem = described(transfer)["problem"]
    assert (problem["type"], problem["line"], problem["since_s"]) == (kind, line, 0.1)
    assert problem["line_text"] == text.splitlines()[line - 1].strip()
    assert words in problem["text"]
    assert described(transfer)["source"] == text
    transfer.inputs["body"]["excitation"][:] = 0.0
    assert feet(transfer) == [0.0, 0.25]
    assert transfer.switched_off() == ["first"]
    assert transfer.replace("first", source("return 1.0")) == []
    assert feet(transfer) == [1.0, 0.25]
    assert described(transfer)["problem"] is None


def test_a_broken_source_keeps_its_place_among_the_others():
    transfer = made(TWO)
    transfer.replace("first", source("return ("))
    now = described(transfer)
    assert (now["priority"], now["direction"], now["writes"]) == (2, "brain to body", ["body.Foot1"])
    assert [f.name for f in transfer.functions] == ["first", "second"]
    assert transfer.want("brain") == ()


def test_an_error_in_an_edited_function_has_the_line_of_its_own_source():
    transfer = made(TWO)
    transfer.replace("first", source("return helper(\n        v)") + "\ndef helper(x):\n    return x.nothing\n")
    message = switched_off(transfer)
    assert (message.file, message.line, message.line_text) == ("<first>", 7, "return x.nothing")
    problem = described(transfer)["problem"]
    assert (problem["line"], problem["column"]) == (7, 12)
    assert (problem["line_text"], problem["type"]) == ("return x.nothing", "runtime")
    assert problem["text"] == "AttributeError: 'float' object has no attribute 'nothing'"


def test_the_problem_of_a_function_is_marked_in_its_own_source_even_if_a_helper_failed():
    transfer = made("def helper(x):\n    return x / 0\n\n@transfer(reads='brain.M1_L1')\ndef f(v):\n    helper(v)\n")
    assert switched_off(transfer).line == 2
    problem = described(transfer, "f")["problem"]
    assert (problem["line"], problem["line_text"]) == (3, "helper(v)")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("voltage_mV = 1; return voltage_mv", "'voltage_mv' is not defined (did you mean 'voltage_mV'?)"),
        ("return math.sqr(2)", "has no attribute 'sqr' (did you mean 'sqrt'?)"),
        ("return params.gian", "has no attribute 'gian' (did you mean 'gain'?)"),
        ("return LEVLE", "'LEVLE' is not defined (did you mean 'LEVEL'?)"),
        ("raise Rude", "Rude"),
    ],
)
def test_an_error_names_what_may_have_been_meant(body, text):
    transfer = made(
        f"""
        import math
        LEVEL = 1
        class Rude(Exception):
            def __str__(self): raise ValueError
        @transfer()
        def f(params):
            {body}
        """,
        {"gain": 1.0},
    )
    assert text in switched_off(transfer).text


def test_columns_are_counted_in_characters():
    transfer = made(TWO)
    transfer.replace("first", source("größe = '…'; return größe + groesse"))
    switched_off(transfer)
    problem = described(transfer)["problem"]
    assert (problem["line"], problem["column"]) == (3, len("    größe = '…'; return größe + ") + 1)


def test_a_wrong_form_from_an_edited_function_is_no_reason_to_end_the_run():
    transfer = made(TWO)
    transfer.replace("first", source("return 'full'"))
    (message,) = transfer.evaluate(0, 0)
    assert "returned 'full'" in message.text


def test_a_function_that_was_switched_off_by_hand_stays_off_when_it_is_replaced():
    transfer = made(TWO)
    transfer.switch("first", False)
    transfer.replace("first", source("return 1.0"))
    assert feet(transfer) == [0.0, 0.25]
    transfer.switch("first", True)
    assert feet(transfer) == [1.0, 0.25]


def test_a_function_that_failed_runs_again_when_it_is_replaced_or_switched_on():
    transfer = made(TWO.replace("return 0.25", "return 1 / 0"))
    switched_off(transfer)
    assert not described(transfer, "second")["active"]
    assert transfer.switch("second", True) == []
    assert described(transfer, "second")["problem"] is None
    switched_off(transfer)
    transfer.replace("second", source("return 0.75", "second", "", 'writes="body.Foot2"'))
    assert feet(transfer) == [0.5, 0.75]
    assert transfer.switched_off() == []


def test_what_its_author_says_of_being_active_and_priority_counts_where_it_is_new():
    transfer = made(TWO)
    transfer.set_priority("first", 9)
    transfer.replace("first", source("return 1.0"))
    assert described(transfer)["priority"] == 9
    more = 'reads="brain.M1_L1", writes="body.Foot1", priority=4, active=False'
    transfer.replace("first", source("return 1.0", decorator=more))
    assert (described(transfer)["priority"], described(transfer)["active"]) == (4, False)


def test_the_order_is_given_within_a_direction_and_the_rest_keep_their_places():
    text = "".join(f"@transfer(writes='body.Foot1')\ndef {name}(): ...\n" for name in "abcd")
    transfer = made(
        text + "@transfer(writes='brain.bias')\ndef z(): ...\n@transfer(writes='brain.bias')\ndef y(): ...\n"
    )
    transfer.order(["d", "z", "a", "y"])
    assert [f.name for f in transfer.functions] == ["z", "y", "d", "b", "c", "a"]
    transfer.order([])
    assert [f.name for f in transfer.functions] == ["z", "y", "d", "b", "c", "a"]


def test_a_deleted_function_leaves_its_last_values():
    transfer = made(TWO)
    feet(transfer)
    transfer.delete("first")
    assert feet(transfer) == [0.5, 0.25]
    with pytest.raises(BadExperiment, match="there is no transfer function 'first'"):
        transfer.delete("first")


def test_a_source_that_takes_a_name_that_is_taken_has_changed_nothing_before_it_is_refused():
    transfer = made(TWO)
    with pytest.raises(BadExperiment, match="there is a transfer function 'second' already"):
        transfer.replace("first", "LEVEL = 1.0\n" + source("return 0", "second"))
    assert feet(transfer) == [0.5, 0.25]


def test_numbers_are_those_of_results_and_variables():
    transfer = made(
        """
        import numpy as np
        @transfer()
        def whole(state):
            state.n, state.far, state.text, state.yes, state.x = 3, 10**400, "t", True, np.float32(0.5)
            return 10**400
        @transfer(writes="body.excitation")
        def many(): return [0, 0, 0, 0]
        @transfer()
        def none(): return None
        @transfer()
        def zero(): return np.array(1.0)
        @transfer()
        def number(): return np.int8(7)
        @transfer()
        def fails(state):
            state.reached = 1
            return 1 / 0
        @transfer()
        def full(state):
            state.__dict__.update({f"k{n}": n for n in range(1000)})
        """
    )
    transfer.evaluate(0, 0)
    numbers = {name: value for name, value in transfer.numbers.items() if not name.startswith("full.")}
    assert numbers == {"whole.n": 3.0, "whole.yes": 1.0, "whole.x": 0.5, "number": 7.0}
    assert sum(name.startswith("full.") for name in transfer.numbers) == 64
    assert all(type(value) is float for value in transfer.numbers.values())


def test_the_time_of_each_function_is_added_up():
    transfer = made("import time\n@transfer()\ndef slow(): time.sleep(0.01)\n@transfer()\ndef quick(): ...\n")
    for step in range(3):
        transfer.evaluate(0, step)
    assert transfer.spent_ns()["slow"] >= 30_000_000
    assert transfer.spent_ns()["quick"] < 30_000_000


@pytest.mark.parametrize(
    "text",
    [
        '@transfer(reads="brain.\\ud800")\ndef first(v): ...\n',
        '@transfer()\ndef first(v="\\ud800"): raise ValueError("\\ud800")\n',
        '@transfer()\ndef first(state): setattr(state, "\\ud800", 1.0)\n',
        '@transfer()\ndef first(): return "\\ud800"\n',
        '@transfer(writes="body.Foot1")\ndef first(): return "\\ud800"\n',
        "def first(): ...\nfirst.__name__ = '\\ud800'\ntransfer()(first)\n",
        "@transfer(priority=10**400)\ndef first(): ...\n",
        "@transfer(priority=float('nan'))\ndef first(): ...\n",
        "@transfer()\ndef first(params): params.gain = '\\ud800'\n",
        "@transfer()\ndef first(params): params.gain = [params]\n",
        "@transfer()\ndef first():\n    class Odd:\n        @property\n        def __class__(self): raise ValueError\n"
        "    return Odd()\n",
    ],
)
def test_nothing_that_a_function_does_keeps_the_engine_from_telling_of_it(text):
    transfer = made(TWO, {"gain": 1.0})
    messages = transfer.replace("first", text) + transfer.evaluate(20_000_000, 1) + transfer.said()
    note = FunctionsNote(step=1, t_ns=1, functions=tuple(transfer.described()))
    values = Values(step=1, t_ns=1, values=transfer.numbers)
    start = Edited(id=1, result={"parameters": transfer.parameters.now()})
    for frame in (note, values, start, *messages):
        packed = codec.encode(frame, run="r", src="engine")
        assert codec.decode(packed.parts()).frame.kind == frame.kind
    assert transfer.inputs["body"]["excitation"][1] == 0.25
