"""The one thing that setuptools cannot be told in setup.cfg: how to make the compiled core."""

from setuptools import setup

setup(cffi_modules=["csrc/build_core.py:ffi"])
