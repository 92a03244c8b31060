#!/usr/bin/env python3
"""Times kappa against the paper's PyTorch code, in turns on the same machine: forward and backward, and the whole step.

A maintainer's script. It needs a checkout of github.com/askerlee/kappa-swiglu and a Python with PyTorch (2.9.1 was used):

    scripts/compare-pytorch.py --paper ../kappa-swiglu [--kappa build/release/kappa] [--config configs/bench-cpu.yaml]
                               [--pairs 5] [--steps 3] [--threads 2] [--optimizer aurora] [--json FILE]

Both train the network of the configuration, float32, on random tokens, eagerly; a pair is a few steps of the one, then a few of
the other, of which the medians count. Peak memory is what the system says was resident at the most; that of PyTorch's libraries
alone is told apart.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import types


def resident_mib(who=resource.RUSAGE_SELF):
    return resource.getrusage(who).ru_maxrss / 1024


def stand_in(name, **members):
    """For imports of the paper's code that training does not need."""
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)


# The peer: one process, which takes a few steps for every line on its standard input.

def build_peer(sizes):
    import torch
    from torch import nn

    torch.set_num_threads(sizes["threads"])
    torch.manual_seed(26)
    activations = types.ModuleType("transformers.activations")
    activations.SiLUActivation = nn.SiLU
    stand_in("transformers", PretrainedConfig=object, activations=activations)
    sys.modules.setdefault("transformers.activations", activations)
    stand_in("huggingface_hub", snapshot_download=None)
    from nanochat.configuration_nanomoe_gpt import GPTConfig
    from nanochat.gpt import GPT

    names = ["sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "n_exp", "moe_top_k"]
    config = GPTConfig(
        **{name: sizes[name] for name in names},
        window_pattern="LLLL",
        use_kappa_swiglu=True,
        kappa_input="top_logits",
        constant_kappa_bias_dense_layers=True,
        kappa_bias_start_layer=0,
        moe_kappa_slope_max_scale=4.0,
        dense_kappa_slope_max_scale=3.0,
        kappa_bias_ema_rms_reg=True,
        kappa_bias_l2_ema_anchor_end=0.5,
        kappa_bias_l2_ema_floor_frac=0.9,
        loss_recompute_backward=True,
    )
    model = GPT(config)  # not first without memory, as base_train.py has it: that leaves routers and buffers uninitialised
    with torch.no_grad():
        model.init_weights()
    model.train()
    model.set_kappa_bias_ema_rms_reg_total_iterations(1000)
    optimizer = model.setup_optimizer(
        embedding_lr=0.3, matrix_lr=0.01, weight_decay=0.05, muon_match_rms_adamw=True, matrix_optimizer=sizes["optimizer"]
    )
    return model, optimizer


def peer_step(model, optimizer, sizes, step):
    """Seconds of forward and backward, of the update, and the loss; weights as in base_train.py."""
    import torch

    ids = torch.randint(sizes["vocab_size"], (sizes["rows"], sizes["sequence_len"] + 1))
    start = time.perf_counter()
    model.set_kappa_bias_ema_rms_reg_step(step)
    loss, terms = model(ids[:, :-1], ids[:, 1:])
    total = loss + 2e-3 * terms["aux_loss"]
    for name in ("kappa_bias_l2_loss", "kappa_scale_l2_loss", "kappa_bias_ema_rms_reg_loss", "kappa_scale_ema_rms_reg_loss"):
        total = total + 1e-2 * terms[name]
    total.backward()
    middle = time.perf_counter()
    optimizer.step()
    model.zero_grad(set_to_none=True)
    return middle - start, time.perf_counter() - middle, float(terms["ntp_loss"])


def serve_peer(sizes):
    sys.path.insert(0, sizes["paper"])
    answers, sys.stdout = sys.stdout, sys.stderr  # the paper's code prints
    import torch

    libraries = resident_mib()
    model, optimizer = build_peer(sizes)
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": parameters, "libraries_mib": libraries, "torch": torch.__version__}), file=answers, flush=True)
    step = 0
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            times.append(peer_step(model, optimizer, sizes, step))
            step += 1
        print(json.dumps({"steps": times, "resident_mib": resident_mib()}), file=answers, flush=True)


# The comparison.

def medians(steps, tokens):
    """Tokens per second of forward and backward, and of whole steps."""
    passes = statistics.median(s[0] for s in steps)
    return tokens / passes, tokens / statistics.median(s[0] + s[1] for s in steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--paper", required=True, help="a checkout of github.com/askerlee/kappa-swiglu")
    parser.add_argument("--kappa", default="build/release/kappa")
    parser.add_argument("--config", default="configs/bench-cpu.yaml", help="with the paper's options for κ, as this file has them")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed in each half of a pair")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--optimizer", choices=["aurora", "muon"], default="aurora")
    parser.add_argument("--json", help="a file for all numbers")
    options = parser.parse_args()
    if not os.path.isfile(os.path.join(options.paper, "nanochat", "gpt.py")):
        parser.error(f"--paper: expected a checkout with nanochat/gpt.py, found none in {options.paper}")

    settings = [f"train.matrix_optimizer={options.optimizer}"]
    plan = json.loads(subprocess.check_output([options.kappa, "train", options.config, "--dry-run", "--json", "--set", *settings]))
    sizes = {key: plan[key] for key in ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "n_exp", "moe_top_k")}
    tokens = plan["total_batch_size"]
    sizes |= {"rows": tokens // plan["sequence_len"], "threads": options.threads, "optimizer": options.optimizer}
    sizes["paper"] = os.path.abspath(options.paper)

    environment = os.environ | {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": str(options.threads), "NANOCHAT_DTYPE": "float32"}
    environment.pop("OPENBLAS_CORETYPE", None)
    peer = subprocess.Popen([sys.executable, __file__, "--peer", json.dumps(sizes)], env=environment, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask_peer(steps):
        print(steps, file=peer.stdin, flush=True)
        return json.loads(peer.stdout.readline())

    hello = json.loads(peer.stdout.readline())
    if hello["parameters"] != plan["parameters"]["total"]:
        raise SystemExit(f"not the same network: {plan['parameters']['total']} parameters here, {hello['parameters']} there")
    ask_peer(2)
    bench = [options.kappa, "bench", options.config, "--json", "--threads", str(options.threads), "--steps", str(options.steps),
             "--warmup", "1", "--set", *settings]
    pairs = []
    print(f"PyTorch {hello['torch']}; {plan['parameters']['total']:,} parameters, {tokens} tokens a step, "
          f"{options.threads} threads, {options.optimizer}\n")
    print("         forward and backward, tokens/s          whole step, tokens/s\n"
          "pair     kappa   PyTorch     ratio        kappa   PyTorch     ratio")
    for number in range(options.pairs):
        report = json.loads(subprocess.check_output(bench))
        answer = ask_peer(options.steps)
        ours = report["forward_backward"]["tokens_per_second"], report["step"]["tokens_per_second"]
        theirs = medians(answer["steps"], tokens)
        pairs.append({"ours": ours, "theirs": theirs, "loss": answer["steps"][-1][2], "report": report,
                      "peer_resident_mib": answer["resident_mib"]})
        print(f"{number + 1:4}{ours[0]:10.0f}{theirs[0]:10.0f}{ours[0] / theirs[0]:10.2f}"
              f"{ours[1]:13.0f}{theirs[1]:10.0f}{ours[1] / theirs[1]:10.2f}", flush=True)
    peer.stdin.close()
    peer.wait()

    middle = [[statistics.median(f(p) for p in pairs) for f in (lambda p, i=i: p["ours"][i], lambda p, i=i: p["theirs"][i],
                                                                lambda p, i=i: p["ours"][i] / p["theirs"][i])] for i in (0, 1)]
    print("median" + "   ".join(f"{a:{8 if i == 0 else 10}.0f}{b:10.0f}{r:10.2f}" for i, (a, b, r) in enumerate(middle)))
    print(f"\npeak memory, MiB resident: kappa {pairs[-1]['report']['memory']['resident'] / 2**20:.0f}, "
          f"PyTorch {pairs[-1]['peer_resident_mib']:.0f} (of which its libraries, before the network: {hello['libraries_mib']:.0f})")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"peer": hello, "sizes": {k: v for k, v in sizes.items() if k != "paper"}, "pairs": pairs}, file, indent=1)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--peer":
        serve_peer(json.loads(sys.argv[2]))
    else:
        main()
