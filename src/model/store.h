#pragma once
// Store: the model files of one data directory: `<data-dir>/models/<name>/model.gguf`. One directory a model, so that
// a runner is given that one file and nothing else. Everything blocks: for the blocking pool.
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fetch/download.h"
#include "model/gguf.h"
#include "model/pull_state.h"
#include "model/remote_file.h"

namespace lmsb::model {

struct Model {
  std::string name;
  std::string directory;  // absolute; holds model.gguf
  GgufFacts facts;
  bool is_demonstration = false;  // the one that is part of the program
};

// A name made of a path or URL: its last component without ".gguf"; other characters than [A-Za-z0-9._-] become '-'.
std::string name_from_source(const std::string& source);
bool is_model_name(const std::string& text);  // [A-Za-z0-9][A-Za-z0-9._:-]{0,127}

class Store {
 public:
  explicit Store(std::string data_dir, fetch::DownloadLimits limits = {})
      : directory_(std::move(data_dir) + "/models"), limits_(limits) {}

  // Of all that is there, sorted, whether it can be read or not.
  std::vector<std::string> names() const;
  // By name. Files that are no models are left out.
  std::vector<Model> list() const;
  // Errors: model_not_found, not_a_model.
  Result<Model> find(const std::string& name) const;
  // Brings a file of this machine into the store; checked before it is there under its name, which it takes over from
  // an older one. Errors: not_found, permission_denied, not_a_model.
  Result<Model> pull(const std::string& path, const std::string& name) const;
  // The same from an open file, borrowed for the call; `source` is for messages.
  Result<Model> pull_open(int file, const std::string& source, const std::string& name) const;
  // The same of what find_remote() has found. What has come stays when it breaks off or is cancelled, and the next pull
  // of it goes on from there. Its name is `file.name`. Errors: model_being_pulled, wrong_digest (what came is thrown
  // away), not_a_model, cancelled, and those of fetch::download.
  Result<Model> pull_remote(const RemoteFile& file, const PullProgress& progress) const;
  // The demonstration model, compared with what the store has of it and written again if that differs: reads all of it.
  // Hidden, so that names(), list() and find() leave it out. Errors: those of writing a file.
  Result<Model> demonstration() const;
  // Away with a model, whether it can be read or not; who has its file open keeps that. Errors: model_not_found, and
  // those of removing a directory, whose rest sweep() takes.
  Status remove(const std::string& name) const;
  // Removes what pulls that were killed have left, but for downloads that can be gone on with and are younger than a
  // week; not what is being pulled, by whichever process. Returns how many.
  std::size_t sweep() const;
  const fetch::DownloadLimits& limits() const { return limits_; }

 private:
  bool has(const std::string& name) const;  // whether it can be read or not
  // `write` fills the open file.
  Result<Model> add(const std::string& name, const std::function<Status(int)>& write) const;
  Result<GgufFacts> put(const std::string& target, const std::function<Status(int)>& write) const;
  std::string directory_;
  fetch::DownloadLimits limits_;  // of pull_remote()
};

}  // namespace lmsb::model
