#pragma once
// Hub: what a Source that is a name means: one file, where it is, and what it must be. Asks Hugging Face, or a registry
// that speaks as Ollama's does. Blocks: for the blocking pool. What is answered is bounded, and taken for hostile.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "fetch/download.h"
#include "model/pull_state.h"
#include "model/remote_file.h"
#include "model/source.h"

namespace lmsb::model {

struct HubPlaces {
  std::string hugging_face = "https://huggingface.co";
  std::string registry = "https://registry.ollama.ai";
  Secret token;  // of Hugging Face, for all; a pull may bring another one
};

// Errors: invalid_source (of a file), not_found (slug model_not_there; the hint says which there are),
// permission_denied, hub_nonsense (unavailable), model_in_parts and adapter_alone (unsupported), and those of
// fetch::download.
Result<RemoteFile> find_remote(const Source& source, const HubPlaces& places, const Secret& token,
                               const fetch::DownloadLimits& limits, const PullProgress& progress);

// A file of a repository. `path` within it.
struct HubFile {
  std::string path;
  std::string sha256;
  std::uint64_t size = 0;
};

// Of a repository's files the one that is wanted: see Source. Pure.
Result<HubFile> choose_file(const std::vector<HubFile>& files, const HuggingFaceSource& source);

// One page of a repository's list, as its API answers it; files of other kinds are left out. Pure.
Result<std::vector<HubFile>> read_file_list(const std::string& text);

// The file of a manifest that is the model. Pure.
Result<HubFile> read_manifest(const std::string& text, const RegistrySource& source);

}  // namespace lmsb::model
