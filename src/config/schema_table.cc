#include "config/schema.h"

namespace lmsb::config {
namespace {

template <auto Member>
Field top(Config& config) {
  return &(config.*Member);
}

template <auto Section, auto Member>
Field in(Config& config) {
  return &(config.*Section.*Member);
}

using C = Config;
constexpr double kMostBytes = 1125899906842624;      // 1 PiB
constexpr double kMostMilliseconds = 2'592'000'000;  // 30 days

constexpr Setting kSettings[] = {
    {.key = "listen",
     .field = top<&C::listen>,
     .about = "Addresses that HTTP is served on; port 0 is any free one.",
     .form = Form::address},
    {.key = "ssh_listen",
     .field = top<&C::ssh_listen>,
     .about = "Address that SSH will be served on; nothing is served there yet.",
     .form = Form::address_or_off},
    {.key = "data_dir",
     .field = top<&C::data_dir>,
     .about = "Images, sandboxes, models and the database.",
     .form = Form::absolute_path},
    {.key = "run_dir", .field = top<&C::run_dir>, .about = "Sockets.", .form = Form::absolute_path},
    {.key = "socket_group",
     .field = top<&C::socket_group>,
     .about = "Group that may use the system socket, if it exists; empty is root only."},
    {.key = "runtime",
     .field = top<&C::runtime>,
     .about = "Runtime of sandboxes that name none.",
     .form = Form::choice,
     .choices = "native"},
    {.key = "default_image",
     .field = top<&C::default_image>,
     .about =
         "Image of sandboxes that name none; empty is the one that the first start chose: base, or host without it."},
    {.key = "allow_host",
     .field = top<&C::allow_host>,
     .about = "Host names that requests may be addressed to.",
     .form = Form::filled},
    {.key = "allow_origin",
     .field = top<&C::allow_origin>,
     .about = "Web origins that may make requests.",
     .form = Form::filled},
    {.key = "log_level",
     .field = top<&C::log_level>,
     .about = "The least important events that are logged.",
     .form = Form::choice,
     .choices = "debug, info, warning, error"},
    {.key = "log_format",
     .field = top<&C::log_format>,
     .about = "How events are written to stderr.",
     .form = Form::choice,
     .choices = "text, json"},
    {.key = "offline", .field = top<&C::offline>, .about = "Connect to nothing beyond loopback and named upstreams."},

    {.key = "pool.size",
     .field = in<&C::pool, &C::Pool::size>,
     .about = "Sandboxes that are started ahead of requests.",
     .max = 1024},
    {.key = "pool.kept_size",
     .field = in<&C::pool, &C::Pool::kept_size>,
     .about = "Sandboxes with a kept file system that are started ahead of requests.",
     .max = 1024},

    {.key = "limits.max_running",
     .field = in<&C::limits, &C::Limits::max_running>,
     .about = "Sandboxes that run at once; 0 is four for each CPU.",
     .max = 1'000'000},
    {.key = "limits.max_waiting",
     .field = in<&C::limits, &C::Limits::max_waiting>,
     .about = "Requests that wait for a place before more are turned away.",
     .max = 1'000'000},

    {.key = "policy.memory",
     .field = in<&C::policy, &C::Policy::memory>,
     .about = "The most memory that a sandbox may ask for; 0 is all of the machine's.",
     .max = kMostBytes},
    {.key = "policy.cpus",
     .field = in<&C::policy, &C::Policy::cpus>,
     .about = "The most CPUs that a sandbox may ask for; 0 is all of the machine's.",
     .max = 4096},
    {.key = "policy.processes",
     .field = in<&C::policy, &C::Policy::processes>,
     .about = "The most processes that a sandbox may ask for.",
     .min = 1,
     .max = 4'194'304},
    {.key = "policy.disk",
     .field = in<&C::policy, &C::Policy::disk>,
     .about = "The most disk that a sandbox may ask for.",
     .min = 1'048'576,
     .max = kMostBytes},
    {.key = "policy.timeout_ms",
     .field = in<&C::policy, &C::Policy::timeout_ms>,
     .about = "The longest time limit that a request may ask for.",
     .min = 1,
     .max = kMostMilliseconds},

    {.key = "disks.kind",
     .field = in<&C::disks, &C::Disks::kind>,
     .about = "Where kept sandboxes write to: store, a btrfs file system in a file of the data directory, whose disks "
              "outlive their processes; memory, which does not; auto is a store where the machine can have one.",
     .form = Form::choice,
     .choices = "auto, store, memory"},
    {.key = "disks.store_size",
     .field = in<&C::disks, &C::Disks::store_size>,
     .about = "Size of a store that is made, at least 2 GiB, of which only what is used is taken; 0 is three quarters "
              "of what "
              "is free.",
     .max = kMostBytes},

    {.key = "auth.required", .field = in<&C::auth, &C::Auth::required>, .about = "Ask for a key on loopback too."},
    {.key = "auth.key_sha256",
     .field = in<&C::auth, &C::Auth::key_sha256>,
     .about = "SHA-256 digests of the keys that are accepted.",
     .form = Form::sha256},
    {.key = "auth.key_file",
     .field = in<&C::auth, &C::Auth::key_file>,
     .about = "File of keys that are accepted, one a line.",
     .form = Form::absolute_path},

    {.key = "run_bash.sandbox",
     .field = in<&C::run_bash, &C::RunBash::sandbox>,
     .about = "Kept sandbox that all of /run-bash/ shares, made when it is missing; empty is a fresh one a request.",
     .form = Form::sandbox_name},

    {.key = "upstream.base_url",
     .field = in<&C::upstream, &C::Upstream::base_url>,
     .about = "OpenAI-compatible server that /ollama/ passes requests to; an address without a path gets /v1.",
     .form = Form::url},
    {.key = "upstream.model",
     .field = in<&C::upstream, &C::Upstream::model>,
     .about = "Model that is asked of the upstream.",
     .form = Form::filled},
    {.key = "upstream.api_key", .field = in<&C::upstream, &C::Upstream::api_key>, .about = "Key for the upstream."},
    {.key = "upstream.api_key_file",
     .field = in<&C::upstream, &C::Upstream::api_key_file>,
     .about = "File that holds the key for the upstream.",
     .form = Form::absolute_path},
    {.key = "upstream.timeout_ms",
     .field = in<&C::upstream, &C::Upstream::timeout_ms>,
     .about = "How long an answer of the upstream may take.",
     .min = 1,
     .max = kMostMilliseconds},

    {.key = "model.default",
     .field = in<&C::model, &C::Model::default_>,
     .about = "Model of requests that name none; empty: the only one, else the demonstration model."},
    {.key = "model.llama_server",
     .field = in<&C::model, &C::Model::llama_server>,
     .about = "The llama-server program; empty looks for one.",
     .form = Form::absolute_path},
    {.key = "model.max_tokens",
     .field = in<&C::model, &C::Model::max_tokens>,
     .about = "Tokens of an answer when the request sets no bound.",
     .min = 1,
     .max = 1'048'576},
    {.key = "model.context",
     .field = in<&C::model, &C::Model::context>,
     .about = "Tokens of context that a model is loaded with.",
     .min = 128,
     .max = 16'777'216},
    {.key = "model.threads",
     .field = in<&C::model, &C::Model::threads>,
     .about = "Threads that a model computes with; 0 is one for each CPU.",
     .max = 4096},
    {.key = "model.max_loaded",
     .field = in<&C::model, &C::Model::max_loaded>,
     .about = "Models that are loaded at once; for one more, the one that was not asked for longest is let go.",
     .min = 1,
     .max = 1024},
    {.key = "model.load_timeout_ms",
     .field = in<&C::model, &C::Model::load_timeout_ms>,
     .about = "How long a model may take to load.",
     .min = 1,
     .max = kMostMilliseconds},
    {.key = "model.answer_timeout_ms",
     .field = in<&C::model, &C::Model::answer_timeout_ms>,
     .about = "How long an answer of a loaded model may take.",
     .min = 1,
     .max = kMostMilliseconds},

    {.key = "mounts.allow",
     .field = in<&C::mounts, &C::Mounts::allow>,
     .about = "Directories below which requests over TCP may mount.",
     .form = Form::absolute_path,
     .not_yet = "directories are handed over on the local socket alone (lm-sandbox run -v)"},
};

}  // namespace

std::span<const Setting> settings() { return kSettings; }

}  // namespace lmsb::config
