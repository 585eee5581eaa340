# request METHOD PATH [BODY]: one request with the Azure CLI's sign-in; prints the answer and, on a line of its own, the status.
request() {
  local answer status=500
  if answer=$(az rest --only-show-errors --method "$1" --uri "$GRAPH$2" --resource "$RESOURCE" --headers 'Content-Type=application/json' ${3:+--body "$3"} 2>&1); then
    status=200
  else
    case $answer in
      *'Not Found('*) status=404 ;;
      *'Bad Request('*) status=400 ;;
      *'Forbidden('*) status=403 ;;
      *'Conflict('*) status=409 ;;
      *'Too Many Requests('*) status=429 ;;
    esac
  fi
  printf '%s\n%s' "$answer" "$status"
}
