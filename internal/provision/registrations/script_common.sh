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

# same_tenant: the sign-in must be for the tenant that the plan was made for.
same_tenant() {
  local answer
  answer=$(call GET "/organization?\$select=id")
  if [ "$(pick id "$answer")" != "$TENANT" ]; then say "this is a plan for the tenant $TENANT, and the sign-in is for another"; exit 1; fi
}

# own_state: what another plan wrote is not overwritten.
own_state() {
  if [ -e "$STATE_FILE" ] && ! grep -qF "$DEPLOYMENT" "$STATE_FILE"; then
    say "$STATE_FILE is of another plan: move it away, or make a new plan beside it"
    exit 1
  fi
}

# nothing_yet ROLE: an application that somebody registered since the plan was made is not registered twice.
nothing_yet() {
  local answer
  answer=$(call GET "/applications?\$filter=tags/any(t:t%20eq%20'onbehalf:name:${NAME// /%20}')&\$select=id,tags")
  case $answer in
    *"\"onbehalf:role:$1\""*) say "there is an application of $NAME already that this plan does not know: make a new plan"; exit 1 ;;
  esac
}

# uri_added URI PATH BODY: whether the tenant takes the App ID URI.
uri_added() {
  local code=0
  FINAL=1 call PATCH "$2" "$3" >/dev/null || code=$?
  case $code in
    0) return 0 ;;
    2)
      say "! $1: the tenant refuses it as App ID URI; clients that send the server's URL as resource cannot sign in (AADSTS9010010)"
      refused="[\"$1\"]"
      return 1
      ;;
  esac
  exit 1
}

# set_env NAME VALUE: sets a line of the settings file and leaves the others as they are.
set_env() {
  local new
  new=$(mktemp "$ENV_FILE.XXXXXX")
  if [ -f "$ENV_FILE" ]; then grep -vE "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=" "$ENV_FILE" >"$new" || true; fi
  if [ -n "$2" ]; then printf '%s=%s\n' "$1" "$2" >>"$new"; fi
  mv "$new" "$ENV_FILE"
}

# save_state APPLIED: writes the ids that are known by now, and what was done when it was done to its end.
save_state() {
  local name value ids='' new
  for name in api_app api_object api_sp api_secret_key client_app client_object client_sp agent_app agent_object agent_sp agent_secret_key execute_scope search_sp search_scope graph_sp; do
    value=${!name:-}
    if [ -n "$value" ]; then ids="$ids${ids:+,}\"$name\":\"$value\""; fi
  done
  new=$(mktemp "$STATE_FILE.XXXXXX")
  printf '{"version":1,"tenant":"%s","name":"%s","deployment":"%s","ids":{%s},"refusedUris":%s,"applied":"%s"}\n' "$TENANT" "$NAME" "$DEPLOYMENT" "$ids" "$refused" "$1" >"$new"
  mv "$new" "$STATE_FILE"
}
