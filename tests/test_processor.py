import pytest

from sweep.processor import bf16_instructions, cpu_name

CORE = "processor\t: {number}\nmodel name\t: Some CPU @ 2 GHz: fast\nflags\t\t: fpu sse2 avx512f {flag}\n\n"


@pytest.fixture
def cpu_info(tmp_path, monkeypatch):
    """What the system says of a machine with two cores, which have such a flag."""

    def write(flag):
        file = tmp_path / "cpuinfo"
        file.write_text("".join(CORE.format(number=number, flag=flag) for number in (0, 1)))
        monkeypatch.setattr("sweep.processor._CPU_INFO", file)

    return write


@pytest.mark.parametrize(
    ("flag", "instructions"),
    [("avx512_bf16", "avx512_bf16"), ("avx512_bf16 amx_bf16", "amx_bf16"), ("avx512_bf16x", None), ("", None)],
)
def test_a_processor_tells_its_name_and_how_it_multiplies_bfloat16(cpu_info, flag, instructions):
    cpu_info(flag)
    assert cpu_name() == "Some CPU @ 2 GHz: fast"
    assert bf16_instructions() == instructions


def test_a_system_that_does_not_tell_has_a_name_still_and_no_bfloat16(tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.processor._CPU_INFO", tmp_path / "not there")
    assert cpu_name()
    assert bf16_instructions() is None


def test_an_apple_tells_which_one_it_is(tmp_path, monkeypatch):
    sysctl = tmp_path / "sysctl"
    sysctl.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo "Apple M2"\n')
    sysctl.chmod(0o755)
    monkeypatch.setattr("sweep.processor._CPU_INFO", tmp_path / "not there")
    monkeypatch.setattr("sweep.processor._ASK_APPLE", (str(sysctl), "-n", "machdep.cpu.brand_string"))
    monkeypatch.setattr("sweep.processor.platform.system", lambda: "Linux")
    assert cpu_name() != "Apple M2"
    monkeypatch.setattr("sweep.processor.platform.system", lambda: "Darwin")
    assert cpu_name() == "Apple M2"
    sysctl.write_text("#!/bin/sh\nexit 1\n")
    assert cpu_name()
