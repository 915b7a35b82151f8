#!/bin/sh
# After the first start: keep messages of plain Celery clients however often Redis was away (RabbitMQ 4 drops them after 20).
set -eu
rabbitmqctl set_policy --vhost afterword afterword '^(celery|confluence|servicenow|azure_devops|jira)$' \
  '{"delivery-limit": 100000}' --apply-to queues
