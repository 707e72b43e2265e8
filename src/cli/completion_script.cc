#include "cli/completion_script.h"

namespace lmsb::cli {
namespace {

// Bash breaks words at = and : too. Those that touch each other on the line are joined before they are sent, and what
// the last one has of them is taken off the answers.
constexpr std::string_view kBash = R"script(# bash completion of lm-sandbox
_lm_sandbox() {
  local line=$COMP_LINE word words=() i
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $line != [[:space:]]* && -n $word ]]; then
      words[-1]+=$word
    else
      line=${line#"${line%%[![:space:]]*}"}
      words+=("$word")
    fi
    line=${line#"$word"}
  done
  local typed=${words[-1]} joined
  joined=${typed%"${COMP_WORDS[COMP_CWORD]}"}
  [[ ${COMP_WORDS[COMP_CWORD]} == [=:]* ]] && joined=$typed
  local answer about files=
  COMPREPLY=()
  while IFS=$'\t' read -r answer about; do
    case $answer in
      :files) files=default ;;
      :directories) files=dirnames ;;
      *) COMPREPLY+=("${answer#"$joined"}") ;;
    esac
  done < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
  if [[ $files && ${#COMPREPLY[@]} = 0 ]]; then
    compopt -o "$files"
  elif [[ $files ]]; then
    compopt -o nospace
    while IFS= read -r answer; do
      printf -v word %q "$answer"
      [[ -d $answer ]] && word+=/
      COMPREPLY+=("$word")
    done < <(compgen -f -- "$typed")
  elif [[ ${COMPREPLY[0]-} == *[:=] ]]; then
    compopt -o nospace
  fi
}
complete -F _lm_sandbox lm-sandbox
)script";

constexpr std::string_view kZsh = R"script(#compdef lm-sandbox
# zsh completion of lm-sandbox
_lm-sandbox() {
  local line tab=$'\t' files=
  local -a found open
  for line in "${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :files) files=yes ;;
      :directories) files=directories ;;
      *:$tab*|*:) open+=("${line%%$tab*}") ;;
      *$tab*) found+=("${${line%%$tab*}//:/\\:}:${line#*$tab}") ;;
      *) found+=("${line//:/\\:}") ;;
    esac
  done
  local result=1
  (( $#found )) && _describe -V 'lm-sandbox' found && result=0
  (( $#open )) && compadd -S '' -- "${open[@]}" && result=0
  [[ $files == yes ]] && _files && result=0
  [[ $files == directories ]] && _files -/ && result=0
  return result
}
if [[ ${funcstack[1]} == _lm-sandbox ]]; then
  _lm-sandbox "$@"
else
  compdef _lm-sandbox lm-sandbox
fi
)script";

constexpr std::string_view kFish = R"script(# fish completion of lm-sandbox
function __lm_sandbox_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l program (string replace -r '^~(?=/)' -- $HOME $words[1])
  set -e words[1]
  for line in ($program __complete -- $words "$typed" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path $typed
      case :directories
        __fish_complete_directories $typed
      case '*'
        echo $line
    end
  end
end
complete -c lm-sandbox -f -a '(__lm_sandbox_complete)'
)script";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : kBash;
}

}  // namespace lmsb::cli
