#pragma once
// Store: the model files of one data directory: `<data-dir>/models/<name>/model.gguf`. One directory a model, so that
// a runner is given that one file and nothing else. Everything blocks: for the blocking pool.
#include <string>
#include <vector>

#include "base/result.h"
#include "model/gguf.h"

namespace lmsb::model {

struct Model {
  std::string name;
  std::string directory;  // absolute; holds model.gguf
  GgufFacts facts;
};

// A name made of a path or URL: its last component without ".gguf"; other characters than [A-Za-z0-9._-] become '-'.
std::string name_from_source(const std::string& source);
bool is_model_name(const std::string& text);  // [A-Za-z0-9][A-Za-z0-9._-]{0,127}

class Store {
 public:
  explicit Store(std::string data_dir) : directory_(std::move(data_dir) + "/models") {}

  // By name. Files that are no models are left out.
  std::vector<Model> list() const;
  // Errors: model_not_found, not_a_model.
  Result<Model> find(const std::string& name) const;
  // Brings a file of this machine or a URL into the store; checked before it is there under its name, which it takes
  // over from an older one. Errors: not_found, permission_denied, not_a_model, and those of fetch::download.
  Result<Model> pull(const std::string& source, const std::string& name) const;

 private:
  std::string directory_;
};

}  // namespace lmsb::model
