#include "http/router.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/assert.h"
#include "http/target.h"

namespace lmsb::http {
namespace {

bool is_name(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

bool is_rest(std::string_view segment) { return is_name(segment) && segment.ends_with("...}"); }

// "/a/{id}/" -> "a", "{id}", "".
template <class Text>
std::vector<Text> split(std::string_view path) {
  std::vector<Text> segments;
  std::size_t begin = 1;
  while (true) {
    const std::size_t end = path.find('/', begin);
    segments.emplace_back(path.substr(begin, end - begin));
    if (end == std::string_view::npos) return segments;
    begin = end + 1;
  }
}

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path) {
  const bool has_rest = is_rest(pattern.back());
  const std::size_t size = pattern.size() - (has_rest ? 1 : 0);
  if (has_rest ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  return std::equal(
      pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(size), path.begin(),
      [](const std::string& want, std::string_view is) { return is_name(want) ? !is.empty() : want == is; });
}

// Whether `a` is the more literal of two patterns that match the same path.
bool goes_before(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto rank = [](const std::string& segment) { return is_rest(segment) ? 2 : is_name(segment) ? 1 : 0; };
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (rank(a[i]) != rank(b[i])) return rank(a[i]) < rank(b[i]);
  }
  return false;
}

}  // namespace

void Router::add(std::string method, std::string pattern, Handler handler) {
  LMSB_ASSERT(!pattern.empty() && pattern.front() == '/');
  const auto same = [&](const Route& route) { return route.method == method && route.pattern == pattern; };
  LMSB_ASSERT(std::none_of(routes_.begin(), routes_.end(), same));
  const std::size_t index = routes_.size();
  auto segments = split<std::string>(pattern);
  if (std::none_of(segments.begin(), segments.end(), is_name)) {
    literal_[pattern].push_back(index);
  } else {
    const auto known =
        std::find_if(named_.begin(), named_.end(), [&](const Named& n) { return n.segments == segments; });
    if (known == named_.end()) {
      named_.push_back(Named{std::move(segments), {index}});
    } else {
      known->routes.push_back(index);
    }
  }
  routes_.push_back(Route{std::move(method), std::move(pattern), std::move(handler)});
}

const Router::Indices* Router::find_literal(const Segments& segments) const {
  const auto has_slash = [](std::string_view segment) { return segment.find('/') != std::string_view::npos; };
  if (std::any_of(segments.begin(), segments.end(), has_slash)) return nullptr;
  const auto found = literal_.find(fmt::format("/{}", fmt::join(segments, "/")));
  return found == literal_.end() ? nullptr : &found->second;
}

const Router::Named* Router::find_named(const Segments& segments, std::map<std::string, std::string>& params) const {
  const Named* best = nullptr;
  for (const Named& candidate : named_) {
    if (!matches(candidate.segments, segments)) continue;
    if (best == nullptr || goes_before(candidate.segments, best->segments)) best = &candidate;
  }
  for (std::size_t i = 0; best != nullptr && i < best->segments.size(); ++i) {
    const std::string& name = best->segments[i];
    if (is_rest(name)) {
      const auto begin = segments.begin() + static_cast<std::ptrdiff_t>(i);
      params[name.substr(1, name.size() - 5)] = fmt::format("{}", fmt::join(begin, segments.end(), "/"));
    } else if (is_name(name)) {
      params[name.substr(1, name.size() - 2)] = std::string(segments[i]);
    }
  }
  return best;
}

Router::Match Router::choose(const Indices& routes, std::string_view method) const {
  Match match;
  const Route* get = nullptr;
  for (const std::size_t index : routes) {
    const Route& route = routes_[index];
    if (route.method == method) match.route = &route;
    if (route.method == "GET") get = &route;
    match.allowed_methods.push_back(route.method);
  }
  if (get != nullptr) {
    if (match.route == nullptr && method == "HEAD") match.route = get;
    if (std::count(match.allowed_methods.begin(), match.allowed_methods.end(), "HEAD") == 0) {
      match.allowed_methods.emplace_back("HEAD");
    }
  }
  return match;
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  if (path.empty() || path.front() != '/') return Match();
  auto segments = split<std::string_view>(path);
  std::vector<std::string> decoded;  // what `segments` view, where something is encoded
  if (path.find('%') != std::string_view::npos) {
    for (const std::string_view segment : segments) {
      auto text = percent_decode(segment, false);
      if (!text.ok()) return Match();  // a target that was read has none
      decoded.push_back(*std::move(text));
    }
    segments.assign(decoded.begin(), decoded.end());
  }
  if (const Indices* literal = find_literal(segments)) return choose(*literal, method);
  std::map<std::string, std::string> params;
  const Named* named = find_named(segments, params);
  if (named == nullptr) return Match();
  Match match = choose(named->routes, method);
  match.params = std::move(params);
  return match;
}

}  // namespace lmsb::http
