"""Serves a GGUF by llama.cpp's own server, as the package xllamacpp ships it, and prints its address.

usage: llamacpp.py FILE TEMPLATE CONTEXT; ends with its standard input.
"""

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.chat_template = open(sys.argv[2]).read()
params.use_jinja = True
params.n_ctx = int(sys.argv[3])
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # threads that wait for one another spin
params.hostnames = ["127.0.0.1"]
params.port = 0
params.warmup = False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
