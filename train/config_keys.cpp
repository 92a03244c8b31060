// What the keys outside of `model` mean and which values they take.
//
// Keys of `train` are called as the flags of the paper's code. Of those, these have no key:
//   device_type                    is `device`
//   dtype                          is `train.precision`, which has more to choose from
//   max_seq_len, loop, global_kappa_granularity, bilinear_mlp_moe, use_aux_free_load_balancing, the network's other flags
//                                  are keys of `model`
//   save_every, delete_old_ckpts, delete_old_ckpts_before_save
//                                  are `checkpoint.every` and `checkpoint.keep_last`; a checkpoint is complete before an old one
//                                  goes
//   save_optimizer_state           is always on: a run that is resumed goes on as if it had not stopped
//   model_tag                      is `run.dir`
//   fp8, fp8_recipe, compile, rebuild_compile_after_eval, rebuild_compile_after_first_eval_only, mockup_mode, debug
//                                  belong to the framework; values that are not finite always end a run
//   activation_offload             is not needed beside activation_checkpointing
//   log_implicit_gate_proj_bias    logs quantities that the paper does not define
//   continue_to_chat_sft, continue_to_chat_sft_args
//                                  start another program

#include "train/config.h"

namespace kappa {
namespace {

void describe(Schema::Section s, TrainConfig& c) {
  s.key("seed", c.seed, "of all random numbers", at_least(0));
  s.key("precision", c.precision, "mixed, june: float32 masters; june: not of embeddings");
  s.key("router_init", c.router_init, "within 1 / sqrt(C), or as the paper's code has it in effect");

  s.key("num_iterations", c.num_iterations, "optimizer steps; -1: from target_flops or target_param_data_ratio",
        minus_one_or(at_least(1)));
  s.key("target_flops", c.target_flops, "FLOPs of the run; -1: from target_param_data_ratio", minus_one_or(above(0)));
  s.key("target_param_data_ratio", c.target_param_data_ratio, "tokens of the run for each scaling parameter",
        minus_one_or(above(0)));
  s.key("use_moe_adjusted_scaling_params", c.use_moe_adjusted_scaling_params,
        "scaling parameters: an expert's count as sqrt(K / E) of one");
  s.key("device_batch_size", c.device_batch_size, "rows of a micro-batch", between(1, 0x1p30));
  s.key("total_batch_size", c.total_batch_size, "tokens of a step; -1: from the tokens of the run", minus_one_or(at_least(1)));
  s.key("max_auto_grad_accum_steps", c.max_auto_grad_accum_steps,
        "limit of micro-batches a step where the batch is automatic; -1: none", minus_one_or(at_least(1)));

  s.key("embedding_lr", c.embedding_lr, "AdamW's learning rate for embeddings and kappa", at_least(0));
  s.key("unembedding_lr", c.unembedding_lr, "AdamW's learning rate for lm_head", at_least(0));
  s.key("matrix_lr", c.matrix_lr, "the matrix optimizer's learning rate", at_least(0));
  s.key("scalar_lr", c.scalar_lr, "AdamW's learning rate for x0_lambdas; resid_lambdas: a hundredth", at_least(0));
  s.key("weight_decay", c.weight_decay, "of matrices, times (12 / depth)^2; falls to 0 over the run", at_least(0));
  s.key("matrix_optimizer", c.matrix_optimizer, "optimizer of the blocks' matrices");
  s.key("muon_match_rms_adamw", c.muon_match_rms_adamw,
        "scale a matrix's step by its longer side, up to 1; false: by its aspect");
  s.key("adam_beta1", c.adam_beta1, "decay of AdamW's mean (x0_lambdas: 0.96)", half_open(0, 1));
  s.key("adam_beta2", c.adam_beta2, "decay of AdamW's mean square (x0_lambdas: 0.95)", half_open(0, 1));
  s.key("optimizer_rounding", c.optimizer_rounding, "of bfloat16 parameters: after an update, or inside it too");
  s.key("lambda_start_step", c.lambda_start_step, "the lambdas keep still before; 1: not moved by the first step's noise",
        at_least(0));

  s.key("warmup_ratio", c.warmup_ratio, "fraction of the run in which learning rates rise", between(0, 1));
  s.key("warmdown_ratio", c.warmdown_ratio, "fraction of the run, at its end, in which learning rates fall", between(0, 1));
  s.key("final_lr_frac", c.final_lr_frac, "learning rates at the end, as a fraction", at_least(0));
  s.key("lr_schedule_restart_at_step", c.lr_schedule_restart_at_step, "step at which the schedule of learning rates begins",
        at_least(0));
  s.key("lr_base_scale", c.lr_base_scale, "factor on all learning rates", at_least(0));
  s.key("resume_from_step", c.resume_from_step, "the checkpoint to go on from; -1: the newest", at_least(-1));
  s.key("resume_lr_warmup_steps", c.resume_lr_warmup_steps, "steps in which learning rates rise again; kappa waits so long",
        at_least(0));
  s.key("kappa_lr_max_scale", c.kappa_lr_max_scale, "factor on kappa's learning rate at its highest", at_least(0));
  s.key("kappa_lr_final_scale", c.kappa_lr_final_scale, "factor on kappa's learning rate at the end of the run", at_least(0));
  s.key("kappa_delay_start_min_iterations", c.kappa_delay_start_min_iterations, "kappa is not trained before this step",
        at_least(0));
  s.key("kappa_delay_start_iteration_frac", c.kappa_delay_start_iteration_frac,
        "kappa is not trained before this fraction of the run", between(0, 1));
  s.key("kappa_lr_warmup_iterations", c.kappa_lr_warmup_iterations, "steps in which kappa's learning rate then rises",
        at_least(0));
  s.key("kappa_slope_max_scale_warmup_iteration_frac", c.kappa_slope_max_scale_warmup_iteration_frac,
        "fraction of the run in which U then rises from 1", between(0, 1));

  s.key("router_z_loss_weight", c.router_z_loss_weight, "of the router z-loss", at_least(0));
  s.key("aux_loss_weight", c.aux_loss_weight, "of the load balancing loss", at_least(0));
  s.key("aux_loss_weight_init_scale", c.aux_loss_weight_init_scale, "the load balancing loss begins so many times higher",
        at_least(0));
  s.key("aux_loss_weight_init_anneal_iterations", c.aux_loss_weight_init_anneal_iterations,
        "steps in which it falls to its weight", at_least(-1));
  s.key("kappa_l2_loss_weight", c.kappa_l2_loss_weight, "of the mean squares of kappa's bias and scale", at_least(0));
  s.key("kappa_scale_l2_loss_weight_scale", c.kappa_scale_l2_loss_weight_scale, "factor on kappa_l2_loss_weight for the scale",
        at_least(0));
  s.key("kappa_l2_loss_anneal_iterations", c.kappa_l2_loss_anneal_iterations, "steps of its first stage of two; -1: half the run",
        at_least(-1));
  s.key("kappa_l2_loss_stage1_frac", c.kappa_l2_loss_stage1_frac, "kappa_l2_loss_weight after the first stage, as a fraction",
        at_least(0));
  s.key("kappa_l2_loss_final_frac", c.kappa_l2_loss_final_frac, "kappa_l2_loss_weight at the end of the run, as a fraction",
        at_least(0));

  s.key("eval_every", c.eval_every, "steps between two validations; -1: none", at_least(-1));
  s.key("eval_tokens", c.eval_tokens, "tokens of a validation", at_least(1));
  s.key("core_metric_every", c.core_metric_every, "steps between two evaluations of CORE; -1: none", at_least(-1));
  s.key("core_metric_max_per_task", c.core_metric_max_per_task, "examples a task, except at the end of the run; -1: all",
        minus_one_or(at_least(1)));
  s.key("core_metric_bundle", c.core_metric_bundle, "folder or archive of CORE's tasks; empty: CORE is not evaluated");
  s.key("sample_every", c.sample_every, "steps between two samples; -1: none", at_least(-1));
  s.key("sample_tokens", c.sample_tokens, "tokens of a sample", at_least(1));
  s.key("sample_prompt", c.sample_prompt, "the text that a sample continues");
  s.key("log_interval", c.log_interval, "steps between two lines of metrics.jsonl", at_least(1));
  s.key("log_grad_stats", c.log_grad_stats, "log statistics of gradients; off with activation_checkpointing");
}

void describe(Schema::Section s, DataConfig& c) {
  s.key("path", c.path, "a file or a folder of files: Parquet, JSON Lines or text");
  s.key("tokenizer", c.tokenizer, "the tokenizer's file; empty: it is trained (tokenizer.train_from)");
  s.key("validation", c.validation, "a share in (0, 1) of the documents, or a file; empty: the last shard");
  s.key("long_documents", c.long_documents, "longer than a row: cropped as in the paper, or split first");
  s.key("workers", c.workers, "threads that read and tokenise ahead", between(1, 1024));
  s.key("skip_damaged", c.skip_damaged, "leave out and count what cannot be read, instead of stopping");
}

void describe(Schema::Section s, TokenizerConfig& c) {
  s.key("train_from", c.train_from, "file or folder to train a tokenizer on; empty: the text to learn from");
  s.key("vocab_size", c.vocab_size, "tokens, the nine special ones included; auto: model.vocab_size", between(1, 0x1p30));
}

void describe(Schema::Section s, CheckpointConfig& c) {
  s.key("every", c.every, "steps between two checkpoints; -1: only at the end", at_least(-1));
  s.key("keep_last", c.keep_last, "how many checkpoints are kept", at_least(1));
  s.key("keep_best", c.keep_best, "keep the one with the lowest validation loss too");
  s.key("milestones", c.milestones, "steps whose checkpoints are made and kept in any case", at_least(1));
}

void describe(Schema::Section s, AuditConfig& c) {
  s.key("mode", c.mode, "as in training, with gradients, or as in evaluation");
  s.key("step", c.step, "the step at which kappa's floors are taken to stand", at_least(0));
  s.key("num_iterations", c.num_iterations, "the length of the run in which that step stands", at_least(1));
}

}  // namespace

void describe(Schema& schema, RunConfig& c) {
  Schema::Section top = schema.section("", "Where it runs.");
  top.key("device", c.device, "emulated: the CUDA kernels on the host, for tests");
  top.key("threads", c.threads, "of the CPU; 0: all cores", between(0, 1024));
  schema.section("run", "The run folder.").key("dir", c.run.dir, "empty: runs/ and the name of this file");
  kappa::describe(schema.section("model", "The network."), c.model);
  describe(schema.section("train", "How it is trained."), c.train);
  describe(schema.section("data", "What it is trained on."), c.data);
  describe(schema.section("tokenizer", "The tokenizer, where it is trained with the run."), c.tokenizer);
  describe(schema.section("checkpoint", "What is kept of the run."), c.checkpoint);
  describe(schema.section("audit", "What `kappa audit` computes of one batch."), c.audit);
}

}  // namespace kappa
