#!/usr/bin/env python3
"""Breaks the code on purpose, one place at a time, and shows that a test catches each.

Every fault replaces one place in one source, then builds and runs one test program, which must fail to build or to
pass. The source is always restored; a tree with uncommitted changes is refused. Run it in a worktree of its own
(`git worktree add`), with a compiler cache: each fault costs a compilation and a test.
Lists the faults that survived; the exit status is 1 if there are any.
"""
import argparse
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REF = "engine/kernels/ref/"

# Leaves out the comparisons of whole networks with PyTorch, which take minutes.
QUICK = "--gtest_filter=-*BesidePyTorch*:*Published*"

# (file, text that occurs once in it, its replacement, test program, its arguments)
FAULTS = [
    # The reference kernels: signs, indices, dropped terms.
    (REF + "batch_norm.cpp", "squares += d * d;", "squares += d;", "ops", "--op=batch_norm"),
    (REF + "batch_norm.cpp", "- xhat * (dgamma.data<T>()[k] / count)", "+ xhat * (dgamma.data<T>()[k] / count)", "ops", "--op=batch_norm"),
    (REF + "batch_norm.cpp", "- dbeta.data<T>()[k] / count ", "- 0 * dbeta.data<T>()[k] ", "ops", "--op=batch_norm"),
    (REF + "batch_norm.cpp", "static_cast<double>(count - 1)", "static_cast<double>(count)", "ops", "--op=update_running_stats"),
    (REF + "softmax.cpp", "grad[c] - dot", "grad[c] + dot", "ops", "--op=softmax"),
    (REF + "softmax.cpp", "if (x[c] > x[best]) best = c;", "if (x[c] >= x[best]) best = c;", "ops", "--op=argmax_rows"),
    (REF + "softmax.cpp", "- onehot) * scale", "- onehot) * (scale + 1)", "ops", "--op=cross_entropy"),
    (REF + "softmax.cpp", "in[c] - largest - log_sum", "in[c] - log_sum", "ops", "--op=log_softmax"),
    (REF + "pool.cpp", "r * a.kernel[1] + s);\n    }\n}\n\n// Calls f(offset in y", "r * a.kernel[0] + s);\n    }\n}\n\n// Calls f(offset in y", "ops", "--op=max_pool2d"),
    (REF + "pool.cpp", "p / a.stride[0] >= y[1]", "p / a.stride[0] > y[1]", "ops", "--op=avg_pool2d"),
    (REF + "pool.cpp", "(std::isnan(best) || !std::isnan(v))", "true", "ops", "--op=max_pool2d_edges"),
    (REF + "linear.cpp", "for (std::int64_t o = 0; o < out; ++o)", "for (std::int64_t o = 1; o < out; ++o)", "ops", "--op=linear"),
    (REF + "linear.cpp", "b ? sum + b.data<T>()[o] : sum", "b ? sum + b.data<T>()[0] : sum", "ops", "--op=linear"),
    (REF + "depthwise.cpp", "if (h < 0 || h >= height || v < 0 || v >= width) continue;\n        sum += x.data<T>()[((n * height + h)", "if (h < 0 || h >= height || v < 0 || v >= height) continue;\n        sum += x.data<T>()[((n * height + h)", "ops", "--op=depthwise_conv2d"),
    (REF + "depthwise.cpp", "if (q < 0 || q % a.stride[1] ||", "if (q < 0 ||", "ops", "--op=depthwise_conv2d"),
    (REF + "optimizer.cpp", "take2 * g * g", "take2 * g", "ops", "--op=adam_step"),
    (REF + "optimizer.cpp", "a.nesterov ? g + mu * m : m", "a.nesterov ? mu * m : m", "ops", "--op=sgd_step"),
    (REF + "optimizer.cpp", "first ? g : mu * m", "mu * m", "ops", "--op=sgd_step"),
    ("engine/kernels/norm.h", "norm == 0 ? 0 : x / norm", "x / norm", "ops", "--op=norm_of_zeros"),
    ("engine/kernels/norm.h", "return kind == NormKind::l12 && x.rank() > 1 ? x[0] : 1;", "return kind == NormKind::l12 && x.rank() > 2 ? x[0] : 1;", "ops", "--gtest_filter=Norms.*"),
    # The task map.
    ("apps/clr/learn/class_distances.cpp", "(i == j ? 1 : 2) * s * s", "s * s", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/class_distances.cpp", "(2 * std::abs(rest) + n) / (2 * n)", "std::abs(rest) / n", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/class_distances.cpp", "out[j] += sign * (", "out[j] += sign * sign * (", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/class_distances.cpp", "least = std::min(least, d);", "least = d;", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/class_distances.cpp", "freedom += c.count - 1;", "freedom += c.count;", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/map_images.cpp", "(i % 2 == 0 ? halves", "(i % 2 != 0 ? halves", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/task_map.cpp", "image[t] - expected / weights", "image[0] - expected / weights", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/task_map.cpp", "task.distances.push_back(image[t]);", "task.distances.push_back(image[0]);", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/task_inference.cpp", "std::max<std::size_t>(at, 1) - 1", "std::min(at, own.size() - 1)", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/task_inference.cpp", "/ (2 * map_.temperature)", "/ map_.temperature", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    ("apps/clr/learn/task_inference.cpp", "return a.task.probability * a.probability;", "return a.probability;", "apps", "--gtest_filter=*TaskMap*:*TaskRanking*:Feature*:ClassDist*:Halves*"),
    # Bounds of rounding errors: a sum of the wrong length, a forgotten term, Winograd's matrices, a forgotten layer.
    ("engine/ops/conv2d.cpp", "static_cast<double>(w.numel() / w.dim(0))", "static_cast<double>(w.dim(3))", "ops", "--gtest_filter=ErrorBounds.*"),
    ("engine/ops/linear.cpp", "static_cast<double>(w.dim(1) + 1)", "static_cast<double>(w.dim(1))", "ops", "--gtest_filter=ErrorBounds.*"),
    ("engine/ops/batch_norm.cpp", "    terms.push_back({ErrorTerm::Kind::f32, 6, sub(y, beta)});\n", "", "ops", "--gtest_filter=ErrorBounds.*"),
    ("engine/ops/error_bound.cpp", "(args.stride[0] == 2 ? 11 : 9)", "(args.stride[0] == 2 ? 10 : 9)", "ops", "--gtest_filter=ErrorBounds.*"),
    ("engine/kernels/cpu/leaf/winograd.cpp", "minus < 0 ? m[0] - m[1] : m[0] + m[1]", "m[0] - m[1]", "ops", "--gtest_filter=ErrorBounds.*"),
    ("engine/kernels/cpu/conv/winograd.cpp", "if (form.sizes) make_absolute(u,", "if (false) make_absolute(u,", "ops", "--gtest_filter=ErrorBounds.*"),
    ("apps/clr/audit/margin_bounds.cpp", "if (first && made.empty()) return;", "if (first && (made.empty() || op == \"batch_norm_eval\")) return;", "apps", "--gtest_filter=MarginBounds.*"),
    ("apps/clr/audit/margin_bounds.cpp", "b.probable += term.roundings * u * u * squares", "b.probable += u * u * squares", "apps", "--gtest_filter=MarginBounds.*"),
    ("apps/clr/audit/margin_bounds.cpp", "to[rivals[i]] = -1", "to[rivals[i]] = 0", "apps", "--gtest_filter=MarginBounds.*"),
    # Optimizers and schedules.
    ("optim/schedules.cpp", "i < epoch / step", "i <= epoch / step", "optim", ""),
    ("optim/schedules.cpp", "(1 + std::cos(", "(1 - std::cos(", "optim", ""),
    ("optim/optimizer.cpp", "++slot.steps;", "", "optim", ""),
    ("optim/optimizer.cpp", "slots_[i].steps = steps[i];", "slots_[i].steps = steps[0];", "optim", ""),
    ("engine/kernels/cpu/reduce.cpp", "total + static_cast<float>(sum)", "static_cast<float>(sum)", "optim", ""),
    ("engine/kernels/ref/optimizer.cpp", "norm[i / row])) + g", "norm[i / row]))", "ops", "--op=sgd_step"),
    # Layers and methods.
    ("layers/reprogramming/depthwise.cpp", "taps / 2 * channels", "taps / 2", "layers", QUICK),
    ("layers/reprogramming/depthwise.cpp", "{half, half}", "{half, 0}", "layers", QUICK),
    ("layers/reprogramming/clr.cpp", "if (conv.is_pointwise()) return nullptr;", "", "layers", QUICK),
    ("layers/reprogramming/clr_mixed.cpp", "conv.is_pointwise() ? 1 : 3", "3", "layers", QUICK),
    ("layers/reprogramming/clr_residual.cpp", "return {weight_};", "return {weight_, scale_};", "layers", QUICK),
    ("layers/reprogramming/side_conv.cpp", "{.stride = stride_}", "{}", "layers", QUICK),
    ("layers/reprogramming/method.cpp", "network.train(method.train_mode);", "", "layers", QUICK),
    ("layers/reprogramming/method.cpp", "conv->set_requires_grad(method.trains_convolutions);", "conv->set_requires_grad(true);", "layers", QUICK),
    ("layers/reprogramming/cost.cpp", "if (e.is_buffer) continue;", "", "layers", QUICK),
    # The fused op: its reference, its kernels, what it records, what run() replaces.
    (REF + "conv_block.cpp", "passes ? dy.data<T>()[i] : T(0)", "dy.data<T>()[i]", "ops", "--op=conv_block"),
    ("engine/kernels/cpu/conv_block.cpp", "std::min(rows.end + reach,", "std::min(rows.end,", "ops", "--gtest_filter=ConvBlock.*"),
    ("engine/kernels/cpu/conv2d.cpp", "t.finish.adds = accumulate;", "t.finish.adds = false;", "ops", "--op=conv_block"),
    ("engine/kernels/cpu/rows/filter_gradient.h", "makes_b_(in.dgamma && !in.b)", "makes_b_(false)", "ops", "--gtest_filter=ConvBlock.*"),
    ("engine/ops/conv_block.cpp", "if (!constants) in.dgamma", "in.dgamma", "ops", "--op=conv_block_eval"),
    ("engine/kernels/run.h", "((member = substitute(member, copies, next)), ...)", "(substitute(member, copies, next), ...)", "engine", ""),
    ("layers/conv_bn.cpp", "  bn.update_running_stats(batch);\n", "", "layers", QUICK),
    # Memory, threads, random numbers.
    ("engine/base/random.cpp", "round < 10", "round < 9", "engine", ""),
    ("engine/base/random.cpp", "bits() >> 6", "bits() >> 5", "engine", ""),
    ("engine/core/storage.cpp", "REPRISE_CHECK(intact(*this),", "REPRISE_CHECK(intact(*this) || true,", "engine", ""),
    ("engine/core/storage.cpp", "REPRISE_CHECK(intact(*form),", "REPRISE_CHECK(intact(*form) || true,", "engine", ""),
    # bf16: its rounding, the order of its channels, the rounding between parts.
    ("engine/kernels/cpu/leaf/vec.h", "(odd + 0x7fff)", "(odd + 0x8000)", "cpu", ""),
    ("engine/kernels/cpu/conv/tap_conv.cpp", "outputs(2 * c + 1) : nullptr", "outputs(2 * c) : nullptr", "ops", "--op=conv2d"),
    ("engine/kernels/cpu/leaf/conv_block.cpp", "as_stored<T>(v) < six", "v < six", "ops", "--gtest_filter=ConvBlock.*"),
    (REF + "unary.cpp", "x <= static_cast<T>(a.high) ? dy", "x < static_cast<T>(a.high) ? dy", "ops", "--gtest_filter=Clamp.*"),
    (REF + "unary.cpp", "y < static_cast<T>(a.high) ? dy", "y <= static_cast<T>(a.high) ? dy", "ops", "--gtest_filter=Clamp.*"),
    ("engine/ops/reduce.cpp", "(missing + 1) / 2", "missing / 2", "ops", "--op=max_along"),
    ("engine/kernels/cpu/leaf/conv_block.cpp", "as_stored<T>(v) + load(residual", "v + load(residual", "ops", "--op=conv_block"),
    ("engine/base/parallel.cpp", "chunks((n_ + grain_ - 1) / grain_)", "chunks(n_ / grain_)", "engine", ""),
    ("engine/base/cgroup.cpp", "std::min(least, cpus)", "cpus", "engine", ""),
    # Weight files.
    ("data/weights/identity.cpp", "for (std::int64_t d : tensor.shape().dims()) add_number(hash, static_cast<std::uint64_t>(d));", "", "data", ""),
    ("data/weights/identity.cpp", "hash.update(tensor.raw_bytes());", "", "data", ""),
    ("layers/file_layout.cpp", "return permuted(tensor, {0, 2, 3, 1});\n  }\n  check_rank(tensor, 4, ", "return permuted(tensor, {0, 3, 2, 1});\n  }\n  check_rank(tensor, 4, ", "layers", "--gtest_filter=Layout.*:StateDict.*"),
    ("layers/state_dict.cpp", "Shape{rows, hwc[2], hwc[0], hwc[1]}", "Shape{rows, hwc[0], hwc[1], hwc[2]}", "layers", "--gtest_filter=StateDict.*"),
    ("layers/module.cpp", "  own.trained = on;\n", "", "layers", "--gtest_filter=Module.*"),
    ("engine/core/tensor.cpp", "|| version() != 0 ||", "|| true ||", "engine", "--gtest_filter=Tensor.*"),
    ("data/weights/safetensors.cpp", "e.begin == at", "e.begin >= at", "data", ""),
    ("data/weights/safetensors.cpp", "keys.back().insert(key).second", "true", "data", ""),
    ("data/weights/safetensors.cpp", "header_bytes <= limits::safetensors_header_bytes", "true", "data", ""),
    ("data/weights/tar.cpp", "i < 156 ? ' '", "i < 155 ? ' '", "data", ""),
    ("data/weights/tar.cpp", "(block - *size % block) % block", "block - *size % block", "data", ""),
    ("data/weights/zip.cpp", "extents[i - 1].second <= extents[i].first", "true", "data", ""),
    ("data/weights/zip.cpp", "crc32(bytes) == entry.crc", "true", "data", ""),
    ("data/weights/pickle.cpp", "if (!raw.empty() && raw.size() < 8 && (raw.back() & 0x80) != 0)", "if (false)", "data", ""),
    ("data/weights/pickle.cpp", "__builtin_bswap64(reader_.number<std::uint64_t>())", "reader_.number<std::uint64_t>()", "data", ""),
    ("data/weights/zip.cpp", "entry.size <= inflated_left_", "true", "data", "--gtest_filter=WeightsBad.Zip"),
    ("data/weights/zip.cpp", "entry.size / 1032 <= entry.bytes.size()", "true", "data", "--gtest_filter=WeightsBad.Zip"),
    ("data/image/stb_decode.cpp", "n >= 0 && static_cast<std::size_t>(n) == to.size()", "n >= 0", "data", "--gtest_filter=WeightsBad.Zip"),
    ("data/weights/pickle.cpp", "REPRISE_CHECK(n < limits::pickle_values,", "REPRISE_CHECK(n < SIZE_MAX,", "data", "--gtest_filter=WeightsBad.Pickle"),
    ("data/weights/pickle_globals.cpp", "  return opaque(heap, function.text);\n}\n\n// Takes", "  if (!a.empty() && a[0]->kind == Kind::text && function.text.ends_with(\"system\") && std::system(a[0]->text.c_str()) != 0) return nullptr;\n  return opaque(heap, function.text);\n}\n\n// Takes", "data", "--gtest_filter=WeightsObjects.*"),
    ("data/weights/pickle_globals.cpp", "tensor.negated = value.integer != 0", "tensor.negated = false", "data", "--gtest_filter=WeightsObjects.*"),
    ("data/weights/pickle_globals.cpp", "v.find(\"data\") == nullptr", "true", "data", "--gtest_filter=WeightsObjects.*"),
    ("data/weights/torch_state_dict.cpp", "(inside && last < available)", "inside", "data", "--gtest_filter=WeightsBad.*"),
    ("data/weights/torch_state_dict.cpp", "count > left_ / element.size", "false", "data", "--gtest_filter=WeightsBad.*"),
    # Images.
    ("data/image/bmp.cpp", "std::find(depths.begin(), depths.end(), bmp.bits) != depths.end()", "!depths.empty()", "data", ""),
    ("data/image/bmp.cpp", "bmp.bottom_up ? height - 1 - y : y", "height - 1 - y", "data", ""),
    ("data/image/bmp.cpp", "std::min(all, out.size() + right + rows * width)", "out.size() + right + rows * width", "data", ""),
    ("data/image/bmp.cpp", "width - std::min(x, width)", "width", "data", ""),
    ("data/image/bmp.cpp", "in.position() % 2 == 1 && in.left() > 0", "value % 2 == 1 && in.left() > 0", "data", ""),
    ("data/image/webp.cpp", "features.has_animation != 0", "false", "data", ""),
    ("data/image/png.cpp", "pixels || chunk.intact", "true", "data", ""),
    ("data/image/png.cpp", "tail.u32_be() == adler32(raw)", "true", "data", ""),
    ("data/image/gif.cpp", "put({frame.interlaced});", "put({0});", "data", ""),
    ("data/image/gif.cpp", "all_drawn == expected", "true", "data", ""),
    ("data/image/image.cpp", "width * height <= limits.max_pixels", "true", "data", ""),
    ("data/image/resize.cpp", "(i + 0.5) * scale", "i * scale", "data", ""),
    # Files, tasks, splits, orders.
    ("data/io/file.cpp", "if (::fsync(descriptor_) != 0) fail(\"cannot be written\");", "", "survive", "--gtest_filter=Calls.syncs_and_renames_fail"),
    ("data/io/file.cpp", "if (!temporary_.empty()) ::unlink(temporary_.c_str());", "", "data", ""),
    ("data/io/file.cpp", "::flock(d.fd, LOCK_EX | LOCK_NB) == 0", "true", "data", ""),
    ("data/sets/split.cpp", "a.key != b.key ? a.key < b.key : a", "a", "data", ""),
    ("data/sets/split.cpp", "std::clamp<std::int64_t>(rounded, 1, n - 1)", "rounded", "data", ""),
    ("data/sets/list_file.cpp", "return std::stoll(a) < std::stoll(b);", "return a < b;", "data", ""),
    ("data/sets/list_file.cpp", "text.find_last_of(tabs ? \"\\t\" : blanks)", "text.find_last_of(blanks)", "data", ""),
    # Splits that are taken for classes, or classes for splits; names that leave a file no UTF-8; links out of a database.
    ("data/sets/splits.cpp", "if (named == folders.size()) return", "if (named > 0) return", "data", ""),
    ("data/sets/splits.cpp", "!named_inside && inside.size() < 2 && !all_alike", "inside.size() < 2 && !all_alike", "data", ""),
    ("data/sets/splits.cpp", "!named_inside && inside.size() < 2 && !all_alike", "!named_inside && inside.size() < 2 && (true || all_alike)", "data", ""),
    ("data/sets/splits.cpp", "REPRISE_CHECK(place.empty(),", "REPRISE_CHECK(place.empty() || true,", "data", ""),
    ("data/sets/class_folders.cpp", "check_undivided(found.folders, path + \"/\" + name);", "check_undivided({}, path);", "data", ""),
    ("data/sets/database_rows.cpp", "if (part == \"..\") reason", "if (part == \"...\") reason", "data", ""),
    ("data/sets/database_rows.cpp", "if (options.follow_links) return;", "return;", "data", ""),
    ("engine/base/utf8.cpp", "|| (c >= \"\\xED\\xA0\" && c < \"\\xEE\")", "", "engine", ""),
    ("engine/base/utf8.cpp", "else if (text.front() == '\\\\' && !kept)", "else if (false)", "engine", ""),
    ("apps/clr/learn/task_log.cpp", "field = unescaped(field);", "field = escaped(field);", "apps", "--gtest_filter=Names.*:RunFolder.*"),
    ("data/loader/order.cpp", "generator.random_seed();  // the loader's base seed", "// the loader's base seed", "data", ""),
    ("data/loader/order.cpp", "static_cast<std::uint64_t>(epoch))\n        .permutation", "0 * static_cast<std::uint64_t>(epoch))\n        .permutation", "data", ""),
    ("data/loader/pixel_cache.cpp", "if (!all_rows_intact(*rows))", "if (!all_rows_intact(*rows) && false)", "data", ""),
    # The program.
    ("apps/clr/commands/signals.cpp", "before[i].sa_handler != SIG_IGN", "true", "apps", "--gtest_filter=Resume.an_ignored*"),
    ("apps/clr/commands/signals.cpp", "::signal(SIGPIPE, SIG_IGN);", "", "apps", "--gtest_filter=Resume.it_saves*"),
    ("engine/base/log.cpp", "std::fwrite(line.data(), 1, line.size(), stderr);", "if (std::fwrite(line.data(), 1, line.size(), stderr) < line.size() || std::fflush(stderr) != 0) throw 1;", "apps", "--gtest_filter=Resume.it_saves*"),
    ("apps/clr/learn/task_file.cpp", "task.backbone_identity == backbone.identity", "true", "survive", "--gtest_filter=BackboneFile.*flipped*"),
    ("apps/clr/learn/backbone.cpp", "std::isfinite(v) && !(is_variance && v < 0)", "std::isfinite(v)", "apps", "--gtest_filter=Checkpoints.*"),
    ("apps/clr/learn/network_weights.cpp", "same = same && identity(*f) == identity(*best[0]);", "", "apps", "--gtest_filter=Checkpoints.*"),
    ("apps/clr/learn/network_weights.cpp", "f.network.body > best[0]->network.body", "false", "apps", "--gtest_filter=Checkpoints.*"),
    ("apps/clr/learn/session.cpp", "  backbone_.verify();\n", "", "survive", "--gtest_filter=BackboneFile.changed*"),
    ("apps/clr/learn/session.cpp", "    folder_.tidy(name);\n", "", "survive", "--gtest_filter=Calls.killed*"),
    ("apps/clr/learn/trainer.cpp", "learner_.optimizer().load_state(buffers);", "", "apps", "--gtest_filter=Resume.same_bytes_after*"),
    ("apps/clr/learn/run_folder.cpp", "const FileLock lock = FileLock::wait(path_ + \"/run.lock\");\n  RunRecord record", "RunRecord record", "apps", "--gtest_filter=Resume.several*"),
    ("apps/clr/learn/estimate.cpp", "limit - used + reclaimable(group)", "limit - used + 0 * reclaimable(group)", "apps", "--gtest_filter=Estimate*"),
    ("apps/clr/learn/step.cpp", "result.loss /= n;", "", "apps", "--gtest_filter=Step*"),
    ("apps/clr/learn/state.cpp", "state.best = take(file, \"best/\");", "", "survive", "--gtest_filter=Calls.killed*"),
]


def run(command, log, limit=300):
    try:
        with open(log, "w") as out:
            return subprocess.run(command, stdout=out, stderr=out, cwd=ROOT, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        return 124


def first_failure(log):
    with open(log, errors="replace") as file:
        for line in file:
            if line.startswith("[  FAILED  ]") or "error:" in line or "SUMMARY" in line:
                return line.strip()[:100]
    return "it ended early"


def try_fault(build, fault, log):
    """Returns 'caught', 'SURVIVED' or 'cannot be planted', and how."""
    file, before, after, target, arguments = fault
    path = os.path.join(ROOT, file)
    with open(path) as source:
        text = source.read()
    if text.count(before) != 1:
        return "cannot be planted", f"{text.count(before)} places"
    try:
        with open(path, "w") as source:
            source.write(text.replace(before, after))
        if run(["ninja", "-C", build, f"test_{target}"], log, 900) != 0:
            return "caught", "by the compiler: " + first_failure(log)
        status = run([os.path.join(build, "tests", target, f"test_{target}"), *arguments.split()], log)
        return ("SURVIVED", "") if status == 0 else ("caught", first_failure(log))
    finally:
        with open(path, "w") as source:
            source.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="a configured build folder of this tree")
    parser.add_argument("words", nargs="*", metavar="word", help="choose faults: those whose file, text or test contains one of them")
    args = parser.parse_args()
    build, words = os.path.abspath(args.build), args.words
    if not os.path.exists(os.path.join(build, "build.ninja")):
        sys.exit(f"planted_faults: {build} is not a configured build folder (no build.ninja)")
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "engine", "layers", "optim", "data", "apps"], cwd=ROOT)
    if changed.returncode != 0:
        sys.exit("planted_faults: the tree has changes of its own; commit them or use another worktree")
    chosen = [f for f in FAULTS if not words or any(w in " ".join(f) for w in words)]
    counts, log = {}, os.path.join(build, "planted_fault.log")
    for number, fault in enumerate(chosen, 1):
        begin = time.time()
        result, how = try_fault(build, fault, log)
        counts[result] = counts.get(result, 0) + 1
        change = f"{' '.join(fault[1].split())[:50]} -> {' '.join(fault[2].split())[:40] or '(nothing)'}"
        print(f"{number:3} {result:9} {time.time() - begin:4.0f}s {fault[0]}: {change}\n      {how}", flush=True)
    print(", ".join(f"{n} {what}" for what, n in counts.items()) + f", of {len(chosen)}")
    sys.exit(0 if set(counts) == {"caught"} else 1)


if __name__ == "__main__":
    main()
