# lmsb_embed(<target> <symbol> <source file>): compiles the file into <target> as
# `namespace lmsb::server { extern const std::string_view <symbol>; }` (declared in src/server/embedded.h).
# A .yaml file is embedded as compact JSON, so that the programs need no YAML reader. Nothing generated is kept in the
# tree.
find_program(LMSB_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

function(lmsb_embed target symbol source)
  get_filename_component(source ${source} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
  set(out ${PROJECT_BINARY_DIR}/generated/${target}/${symbol}.cc)
  add_custom_command(OUTPUT ${out}
    COMMAND ${LMSB_PYTHON} ${PROJECT_SOURCE_DIR}/cmake/embed.py ${symbol} ${source} ${out}
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/embed.py
    COMMENT "Embedding ${source}" VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
