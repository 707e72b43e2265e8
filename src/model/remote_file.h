#pragma once
// RemoteFile: a model's file that is to be downloaded. A value.
#include <cstdint>
#include <string>

#include "base/secret.h"

namespace lmsb::model {

struct RemoteFile {
  std::string name;  // of the model that it becomes
  std::string url;
  Secret token;
  std::string sha256;      // 64 lower case hexadecimal digits; "" = nobody says
  std::uint64_t size = 0;  // 0 = nobody says
};

}  // namespace lmsb::model
