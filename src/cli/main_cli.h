#pragma once
// main_cli: the CLI of program lm-sandbox, for every command but `serve`.
namespace lmsb::cli {

// Parses, carries out, prints; returns the exit status. Called once, from main, on the only thread.
int main_cli(int argc, char** argv);

}  // namespace lmsb::cli
