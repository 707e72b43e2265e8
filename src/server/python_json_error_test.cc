#include "server/python_json_error.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

struct Row {
  std::string_view text;
  std::size_t position;
  std::string_view message;
};

// Recorded from Python 3.11.
constexpr std::array kRecorded{
    Row{"nope", 0, "Expecting value"},
    Row{" ", 1, "Expecting value"},
    Row{"tru", 0, "Expecting value"},
    Row{"-", 0, "Expecting value"},
    Row{"01", 1, "Extra data"},
    Row{"1.", 1, "Extra data"},
    Row{"1e", 1, "Extra data"},
    Row{"[", 1, "Expecting value"},
    Row{"[1,", 3, "Expecting value"},
    Row{"[1,]", 3, "Expecting value"},
    Row{"[1 2]", 3, "Expecting ',' delimiter"},
    Row{"{", 1, "Expecting property name enclosed in double quotes"},
    Row{"{1:2}", 1, "Expecting property name enclosed in double quotes"},
    Row{R"({"cmd")", 6, "Expecting ':' delimiter"},
    Row{R"({"a" 1})", 5, "Expecting ':' delimiter"},
    Row{R"({"cmd":)", 7, "Expecting value"},
    Row{R"({"a":[)", 6, "Expecting value"},
    Row{R"({"a":1,)", 7, "Expecting property name enclosed in double quotes"},
    Row{R"({"cmd":"a")", 10, "Expecting ',' delimiter"},
    Row{R"({"cmd":"a",})", 11, "Expecting property name enclosed in double quotes"},
    Row{R"({"a":1 "b":2})", 7, "Expecting ',' delimiter"},
    Row{R"({"cmd":"a"} x)", 12, "Extra data"},
    Row{"\"\xC3\xA9\" x", 4, "Extra data"},
    Row{"{\"cmd\":\"a\nb\"}", 9, "Invalid control character at"},
    Row{R"({"cmd":"\x"})", 8, "Invalid \\escape"},
    Row{R"({"cmd":"\u12"})", 9, "Invalid \\uXXXX escape"},
    Row{R"("\u)", 2, "Invalid \\uXXXX escape"},
    Row{R"("\ud800\u12")", 8, "Invalid \\uXXXX escape"},
    Row{R"({"cmd":"abc)", 7, "Unterminated string starting at"},
    Row{R"("\)", 0, "Unterminated string starting at"},
};

TEST(PythonJsonError, SaysWhatPythonSaysAndWhere) {
  for (const Row& row : kRecorded) {
    const auto error = python_json_error(row.text);
    ASSERT_TRUE(error) << row.text;
    EXPECT_EQ(error->position, row.position) << row.text;
    EXPECT_EQ(error->message, row.message) << row.text;
  }
}

TEST(PythonJsonError, AcceptsWhatPythonAccepts) {
  for (std::string_view text :
       {R"({"a":[1,-0.5e+3,true,null,"\u00e9\n"]} )", "NaN", "-Infinity", R"("\ud800")", "{}", "[ ]"}) {
    EXPECT_FALSE(python_json_error(text)) << text;
  }
}

TEST(PythonJsonError, GivesUpOnDeepNestingInsteadOfRecursing) {
  EXPECT_FALSE(python_json_error(std::string(1'000'000, '[')));
}

}  // namespace
}  // namespace lmsb::server
