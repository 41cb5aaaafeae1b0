"""Sine and cosine of whole registers, for each set of instructions, beside those in more digits."""

import platform
import subprocess
from pathlib import Path

import pytest

from atomplete.kernel import library

SOURCE = """
#include "atomplete.hpp"
#include <cstdio>
using namespace atomplete::detail;
// through pointers, so that no instruction of less digits takes their place
long double (*volatile precise_sine)(long double) = sinl;
long double (*volatile precise_cosine)(long double) = cosl;
template <class Lane, class Real> void check(Real largest) {
  long double worst = 0;
  constexpr int lanes = sizeof(Lane) / sizeof(Real);
  for (int k = 0; k < 20000; ++k) {
    Lane x, s, c;
    for (int lane = 0; lane < lanes; ++lane) {
      const double u = (k * lanes + lane) * 0.6180339887498949;
      x[lane] = Real((2 * (u - std::floor(u)) - 1) * largest);
      if (k % 3 == 0) x[lane] = Real(std::round(x[lane] / 1.5707963267948966) * 1.5707963267948966);
    }
    sine_and_cosine(x, s, c);
    for (int lane = 0; lane < lanes; ++lane) {
      worst = std::max(worst, std::fabs((long double)s[lane] - precise_sine(x[lane])));
      worst = std::max(worst, std::fabs((long double)c[lane] - precise_cosine(x[lane])));
    }
  }
  std::printf("%.3Le\\n", worst);
}
int main() {
  for (const double largest : {1.0, 7.0, 1e3, 9e5, 1e9}) check<Vec, double>(largest);
  for (const float largest : {1.0f, 7.0f, 1e3f, 9e3f, 1e7f}) check<SingleVec, float>(largest);
}
"""

INSTRUCTIONS = ["native", *(("x86-64", "x86-64-v3") if platform.machine() == "x86_64" else ())]


@pytest.mark.parametrize("fast_math", [False, True])
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_sine_and_cosine_to_the_last_digits(compiler, tmp_path, instructions, fast_math):
    (tmp_path / "sine.cpp").write_text(SOURCE)
    options = [f"-march={instructions}", "-O2", *(["-ffast-math"] if fast_math else [])]
    include = f"-I{Path(library.__file__).parent}"
    command = [*compiler, *options, include, tmp_path / "sine.cpp", "-o", tmp_path / "sine"]
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "sine"], capture_output=True, text=True, check=True)
    worst = [float(line) for line in done.stdout.split()]
    # the largest arguments go through the functions of the library, whose fast ones are less exact
    compared = 4 if fast_math else 5
    assert max(worst[:compared]) < 2e-16
    assert max(worst[5 : 5 + compared]) < 1.2e-7
