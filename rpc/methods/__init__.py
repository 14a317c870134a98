"""The control methods, one file per noun, found by listing this folder.

Declarations only, so that the CLI imports them in milliseconds: no numpy, aiohttp, jsonrpcserver or compiled core here.
"""
