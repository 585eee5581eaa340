"""Writes a GGUF whose text is known beforehand: a llama of one layer that is a table of which token follows which.

Attention and feed-forward are zero, so that the last token alone decides: its embedding is one unit vector, and the output
matrix turns that into the logit of the token that follows. What begins an answer is the template's last token, so that a
server's own template, tokenizer, sampling and parsing of tool calls run, and what they make of it can be compared.

usage: model.py FILE < scripts.json, where scripts.json is {"<|start|>": "text", ...}; a text that ends in "…" goes on for ever.
"""

import json
import sys

import gguf
import numpy

WIDTH = 512  # at least as many as tokens, and a multiple of 32
HEAD = 16  # one of them, and small: every byte of a prompt is a token here
CONTEXT = 32768


def pieces(text, taken):
    """Cuts a text into parts that no other token is, for each has to have one successor."""
    out, rest = [], text
    while rest:
        end = min(3, len(rest))
        while end < len(rest) and rest[:end] in taken:
            end += 1
        part, rest = rest[:end], rest[end:]
        while part in taken:  # only at the end
            part = out.pop() + part
        taken.add(part)
        out.append(part)
    return out


def vocabulary(scripts):
    """Returns tokens, their kinds and which token follows which."""
    kinds = gguf.TokenType
    tokens = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens += [(f"<0x{i:02X}>", kinds.BYTE) for i in range(256)]
    follows, taken = {}, set()
    for start, text in scripts.items():
        endless = text.endswith("…")
        chain = [len(tokens)]
        tokens.append((start, kinds.CONTROL))
        for part in pieces(text.removesuffix("…"), taken):
            chain.append(len(tokens))
            tokens.append((part.replace(" ", "▁"), kinds.NORMAL))
        follows.update(zip(chain, chain[1:]))
        follows[chain[-1]] = chain[1] if endless else 2
    return tokens, follows


def main(path, scripts):
    tokens, follows = vocabulary(scripts)
    count = len(tokens)
    assert count <= WIDTH, count
    embedding = numpy.eye(count, WIDTH, dtype=numpy.float32)
    output = numpy.zeros((count, WIDTH), dtype=numpy.float32)
    for token in range(count):
        output[follows.get(token, 2), token] = 2

    out = gguf.GGUFWriter(path, "llama")
    out.add_name("scripted")
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_block_count(1)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(32)
    out.add_head_count(1)
    out.add_head_count_kv(1)
    out.add_key_length(HEAD)
    out.add_value_length(HEAD)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(HEAD)
    out.add_vocab_size(count)
    out.add_tokenizer_model("llama")
    out.add_token_list([token for token, _ in tokens])
    out.add_token_scores([0.0 if kind != gguf.TokenType.NORMAL else -1.0 for _, kind in tokens])
    out.add_token_types([kind for _, kind in tokens])
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(True)
    out.add_add_eos_token(False)
    out.add_add_space_prefix(False)

    out.add_tensor("token_embd.weight", embedding)
    out.add_tensor("output_norm.weight", numpy.ones(WIDTH, dtype=numpy.float32))
    out.add_tensor("output.weight", output)
    for name in ("attn_norm", "ffn_norm"):
        out.add_tensor(f"blk.0.{name}.weight", numpy.ones(WIDTH, dtype=numpy.float32))
    for name, rows, columns in (
        ("attn_q", HEAD, WIDTH), ("attn_k", HEAD, WIDTH), ("attn_v", HEAD, WIDTH), ("attn_output", WIDTH, HEAD),
        ("ffn_gate", 32, WIDTH), ("ffn_up", 32, WIDTH), ("ffn_down", WIDTH, 32),
    ):
        out.add_tensor(f"blk.0.{name}.weight", numpy.zeros((rows, columns), dtype=numpy.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(sys.argv[1], json.load(sys.stdin))
