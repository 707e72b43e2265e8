#pragma once
// Fields of a query, read strictly. Errors: invalid_request.
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lmsb::server {

using Query = std::map<std::string, std::string>;
using Labels = std::map<std::string, std::string>;

Error invalid_query(std::string message, std::string hint = "/docs shows what may stand behind the question mark");
// Refuses fields that are none of `known`.
Status check_names(const Query& query, std::initializer_list<std::string_view> known);
// Refuses what names a field twice: `target` is the request's, as it came.
Status check_once(std::string_view target);
// A whole number; `fallback` where the field is absent.
Result<std::uint64_t> number_of(const Query& query, const std::string& name, std::uint64_t fallback, std::uint64_t max);
// `label` of a list: "a=1,b=2"; none where it is absent. What stands behind a backslash is meant as it is: "a=x\\,y".
Result<Labels> labels_of(const Query& query);
// `cursor` of a list of what has ids that begin with `prefix`, "" of sandboxes: "" where it is absent.
Result<std::string> page_cursor(const Query& query, std::string_view prefix);
// `limit` of a list: 1 to 1000, 100 where it is absent.
Result<std::size_t> page_limit(const Query& query);
// true, false, 1 or 0.
Result<bool> flag_of(const Query& query, const std::string& name, bool fallback);

}  // namespace lmsb::server
