say() { printf '%s\n' "$*" >&2; }

# passes STATUS ANSWER: whether a refusal passes by itself, as for what was just made and is not seen yet.
passes() {
  case $1 in
    400 | 404 | 429 | 503) return 0 ;;
    403) [[ $2 == *'backing application of the service principal'* ]] ;;
    *) return 1 ;;
  esac
}

# call METHOD PATH [BODY]: prints the answer; tries again what passes by itself. 2 is a refusal of the request itself, when
# FINAL is set. What is there already is fine.
call() {
  local answer status tries=0
  while :; do
    answer=$(request "$@")
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    case $status in
      2??) printf '%s' "$answer"; return 0 ;;
      409) return 0 ;;
    esac
    if [ "$status" = 400 ] && [ -n "${FINAL:-}" ]; then say "$answer"; return 2; fi
    tries=$((tries + 1))
    if [ "$tries" -lt 9 ] && passes "$status" "$answer"; then sleep "$tries"; continue; fi
    say "$1 $2: HTTP $status"
    say "$answer"
    return 1
  done
}

# pick NAME JSON: the first member with this name.
pick() {
  local form="\"$1\":[[:space:]]*\"([^\"]*)\""
  if [[ $2 =~ $form ]]; then printf '%s' "${BASH_REMATCH[1]}"; else say "the answer holds no $1"; return 1; fi
}

# pick_scope VALUE JSON: the id of the delegated permission with this short name.
pick_scope() {
  local form="\{[^{}]*\"value\":[[:space:]]*\"$1\"[^{}]*\}"
  if [[ $2 =~ $form ]]; then pick id "${BASH_REMATCH[0]}"; else say "the answer offers no permission $1"; return 1; fi
}

# id_of COLLECTION APPID: the object id.
id_of() {
  local answer
  answer=$(call GET "/$1(appId='$2')?\$select=id")
  pick id "$answer"
}
