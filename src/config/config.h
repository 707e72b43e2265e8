#pragma once
// Configuration of `lm-sandbox serve`: plain values, read once before any object is built.
//
// Precedence: flag, environment (LM_SANDBOX_A__B for the key a.b), later file, earlier file, default. The table in
// schema_table.cc lists every key; parsing, names of variables, example() and show() follow from it. Each member is
// named as its key. load() reads files and may block; everything else is pure. No state, any thread.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/units.h"

namespace lmsb::config {

struct Config {
  std::vector<std::string> listen = {"127.0.0.1:8000"};  // ADDR:PORT; port 0 is any free one
  std::string ssh_listen = "127.0.0.1:2222";             // or "off"; nothing is served there yet
  std::string data_dir = "/var/lib/lm-sandbox";
  std::string run_dir = "/run/lm-sandbox";
  std::string socket_group = "lm-sandbox";
  std::string runtime = "native";
  std::string default_image;  // empty: chosen at the first start
  std::vector<std::string> allow_host;
  std::vector<std::string> allow_origin;
  std::string log_level = "info";   // debug, info, warning or error
  std::string log_format = "text";  // text or json
  bool offline = false;

  struct Pool {
    std::uint32_t size = 8;
    std::uint32_t kept_size = 2;
  } pool;

  struct Limits {
    std::uint32_t max_running = 0;  // 0: four for each CPU
    std::uint32_t max_waiting = 1024;
    std::chrono::milliseconds max_wait_ms{30'000};
    Bytes memory;                   // 0: all that sandboxes together may use
    double memory_overcommit = 64;  // of created sandboxes and models
    double cpu_overcommit = 0;      // 0: CPUs are not counted
  } limits;

  struct Policy {
    Bytes memory;     // 0: all of the machine's
    double cpus = 0;  // 0: all of the machine's
    std::uint32_t processes = 32768;
    Bytes disk = Bytes::GiB(64);
    std::chrono::milliseconds timeout_ms{86'400'000};
    std::uint32_t max_snapshots = 1000;    // of one owner
    std::string network = "open";          // none, allowlist or open
    std::vector<std::string> credentials;  // names of those that everybody may give sandboxes
    std::vector<std::string> devices;      // names, or kinds, of those that everybody may give sandboxes
    bool root = true;                      // sandboxes whose commands are root inside
    bool models = true;                    // sandboxes may have some
    bool refuse_weaker = false;
  } policy;

  struct Network {
    std::vector<std::string> resolvers;          // ADDRESS or ADDRESS:PORT; none: the machine's
    std::vector<std::string> groups;             // NAME=ENTRY ENTRY
    std::vector<std::string> reachable_private;  // ranges
    std::vector<std::string> unreachable;        // ranges
    std::vector<std::string> credentials;        // NAME=https://HOST HEADER: [TEXT ]@FILE
    std::string credential_ca_file;              // empty: the system's authorities
    struct SecretFile {
      Secret secret;
      std::string fault;  // why it could not be read: requests are refused for it, and nothing else
    };
    std::map<std::string, SecretFile> credential_files;  // what is in those of `credentials`; no key of its own
    std::uint32_t max_connections = 256;                 // of one sandbox
    std::uint32_t connections_of_all = 16'384;           // of all sandboxes together
    std::uint32_t connections_per_second = 50;           // of one sandbox
    Bytes bytes_per_second;                              // of one sandbox; 0: no limit
  } network;

  struct Devices {
    std::vector<std::string> cdi_dirs = {"/etc/cdi", "/var/run/cdi"};  // the later one's files count before the earlier
  } devices;

  struct Disks {
    std::string kind = "auto";  // auto, store or memory
    Bytes store_size;           // of a store that is made; 0: three quarters of what is free
  } disks;

  struct Retention {
    Bytes audit_size = Bytes::MiB(64);  // of one file
    std::uint32_t audit_files = 1;      // earlier ones
    std::uint32_t audit_days = 0;       // 0: for as long as there is a place for it
    Bytes output_size = Bytes::MiB(64);
  } retention;

  struct Auth {
    bool required = false;
    std::vector<std::string> key_sha256;  // 64 lower case hexadecimal digits each
    std::string key_file;                 // empty: none
    std::vector<Secret> keys;             // the lines of key_file; no key of its own
  } auth;

  struct Tls {
    std::string cert_file;     // empty: none
    std::string key_file;      // both or none
    std::string certificates;  // what is in cert_file; no key of its own
    Secret key;                // what is in key_file; no key of its own
    bool is_on() const { return !cert_file.empty(); }
  } tls;

  struct RunBash {
    std::string sandbox;  // empty: a fresh sandbox for each request
  } run_bash;

  struct Upstream {
    std::string base_url = "http://127.0.0.1:11434/v1";  // as given; without a path, /v1 is meant
    std::string model = "ollama-model";
    Secret api_key;            // also when it was given by api_key_file
    std::string api_key_file;  // empty: none
    std::chrono::milliseconds timeout_ms{120'000};
  } upstream;

  struct Model {
    std::string default_;      // model.default; empty: the only one, else the demonstration model
    std::string llama_server;  // path of the program; empty: looked for
    std::uint32_t max_tokens = 512;
    std::uint32_t context = 4096;
    std::uint32_t threads = 0;  // 0: one for each CPU
    std::uint32_t max_loaded = 3;
    std::chrono::milliseconds keep_alive_ms{0};  // 0: as long as there is room
    std::vector<std::string> pinned;
    std::string hugging_face = "https://huggingface.co";  // where hf: names are looked up
    std::string registry = "https://registry.ollama.ai";  // where other names are
    Secret hugging_face_token;
    std::string hugging_face_token_file;  // read at the start into hugging_face_token
    std::chrono::milliseconds load_timeout_ms{300'000};
    std::chrono::milliseconds answer_timeout_ms{600'000};
  } model;

  struct Mounts {
    std::vector<std::string> allow;  // not yet: empty
  } mounts;
};

// A flag that sets `key` ("ssh_listen"); given again for a list it adds an item. A value is one item: no commas.
struct Flag {
  std::string key;
  std::string value;
};

struct Sources {
  std::vector<std::string> files = {};        // lowest first; a leading '!' marks one that must exist (--config)
  std::vector<std::string> environment = {};  // "NAME=value", all of the process's: others are passed over
  std::vector<Flag> flags = {};
  // What is read in place of the file of that path: the daemon may not open what root alone may read.
  std::map<std::string, Result<std::string>> handed = {};
};

struct Loaded {
  Config config;
  // For every key: "flag --ssh-listen", "environment LM_SANDBOX_POOL__SIZE", "/etc/lm-sandbox/config.toml:12" or
  // "default".
  std::map<std::string, std::string> origin;
  std::vector<std::string> warnings;  // for a person, one line each
  std::vector<std::string> files;     // all that were looked for, secrets' too, each once
};

// The configuration that `sources` give. An unknown key, a wrong type and a value out of range are errors that say
// where (file:line:column), the nearest known key, and what is allowed; so is a file that cannot be read. No message
// contains a secret. A missing file is passed over unless it is marked.
Result<Loaded> load(const Sources& sources);

// The keys, in the order of the example, whose values differ. Of auth.key_file, tls.cert_file and tls.key_file only the
// name counts, not what is in it.
std::vector<std::string> differing_keys(const Config& a, const Config& b);

// A complete file: every key with what it means, commented out at its default.
std::string example();

// Every key with its value, one TOML line each, with its origin as a comment when asked. Secrets print as "***".
std::string show(const Loaded& loaded, bool with_origin);

// The same as a JSON object: those outside the sections first, then an object for each section.
std::string show_json(const Loaded& loaded);

}  // namespace lmsb::config
