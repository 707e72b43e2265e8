#pragma once
// Texts that are compiled into the program by cmake/Embed.cmake.
#include <string_view>

namespace lmsb::server {

extern const std::string_view kOpenApiJson;  // api/openapi.yaml as JSON
extern const std::string_view kDocsHtml;     // api/docs.html

}  // namespace lmsb::server
