"""Addresses of Redis, Sentinel and brokers: what they mean, what Celery is told, what people are shown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker.consumer.connection import Connection as ConnectionStep
from kombu.utils.json import dumps
from redis.exceptions import ConnectionError as RedisConnectionError

from config.redis_address import RedisAddress, parse
from config.settings import ConfigError, Settings
from worker.broker.channel import GuardedChannel, GuardedSentinelChannel
from worker.broker.settings import celery_settings
from worker.connections import celery_address, shown_address


def test_an_address_of_sentinels_names_hosts_service_database_and_account():
    assert parse("sentinel://bot:p%40ss@one,two:26380,[::1]:26381/prime/2") == RedisAddress(
        hosts=(("one", 26379), ("two", 26380), ("::1", 26381)),
        service="prime",
        db=2,
        username="bot",
        password="p@ss",
    )
    assert parse("rediss+sentinel://one/prime").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert parse("redis+sentinel://:pw@one/prime").password == "pw"
    assert "pw" not in repr(parse("sentinel://:pw@one/prime"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sentinel://one:26379", "names no service"),
        ("sentinel://one:26379/", "names no service"),
        ("sentinel://one/prime/x", "database number"),
        ("sentinel:///prime", "HOST:PORT"),
        ("sentinel://one,,two/prime", "HOST:PORT"),
        ("sentinel://one:999999/prime", "HOST:PORT"),
        ("sentinel://:planted@o ne/prime", "HOST:PORT"),
    ],
)
def test_a_malformed_address_is_refused_without_showing_its_password(url, words):
    for given in ({"redis_url": url}, {"redis_url": "redis://x", "broker_url": url}):
        settings = Settings(**given)
        with pytest.raises(ConfigError, match=words) as refused:
            settings.broker_address() if "broker_url" in given else settings.redis_address()
        assert "planted" not in str(refused.value)


def test_a_scheme_that_is_none_of_ours_is_refused():
    with pytest.raises(ConfigError, match="sentinel://"):
        Settings(redis_url="http://x").redis_address()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:pw@host:1/0", "redis://:pw@host:1/0"),
        ("redis://bot:p%2F%40@host", "redis://bot:p%2F%40@host:6379/0"),
        ("rediss://host/3?ssl_cert_reqs=none", "rediss://host:6379/3"),
        ("redis://host/3?db=4&socket_timeout=3", "redis://host:6379/4"),
        ("amqp://u:p@host//", "amqp://u:p@host//"),
        ("sentinel://:p%40@one,two:2/prime/3", "sentinel://:p%40@one:26379/3;sentinel://:p%40@two:2/3"),
        ("sentinel://[::1]:5/prime", "sentinel://[::1]:5/0"),
        ("unix:///run/redis.sock", "socket:///run/redis.sock?virtual_host=0"),
        ("unix://:pw@/run/redis.sock?db=2", "socket://:pw@/run/redis.sock?virtual_host=2"),
    ],
)
def test_celery_is_told_the_same_place_in_its_own_words(url, address):
    assert celery_address(url) == address


def test_a_transition_waits_for_a_replica_under_sentinel_unless_told_otherwise():
    assert Settings(redis_url="redis://x").replicas_wanted() == 0
    assert Settings(redis_url="sentinel://x/prime").replicas_wanted() == 1
    assert Settings(redis_url="sentinel://x/prime", replicas=0).replicas_wanted() == 0
    assert Settings(redis_url="redis://x", replicas=2).replicas_wanted() == 2


def test_every_redis_broker_is_guarded_and_rabbitmq_has_replicated_queues_and_confirms():
    def of(**given):
        return celery_settings(Settings(redis_url="redis://ledger", **given))

    for broker in ("redis://x", "rediss://x"):
        assert of(broker_url=broker)["broker_transport"] == "worker.broker.channel:GuardedTransport"
    assert of(broker_url="unix:///x")["broker_transport"] == "worker.broker.channel:GuardedSocketTransport"
    sentinel = of(broker_url="sentinel://x/prime", sentinel_password="fake")
    assert sentinel["broker_transport"] == "worker.broker.channel:GuardedSentinelTransport"
    assert sentinel["broker_transport_options"]["master_name"] == "prime"
    assert sentinel["broker_transport_options"]["sentinel_kwargs"]["password"] == "fake"
    rabbit = of(broker_url="amqp://x")
    assert "broker_transport" not in rabbit
    assert rabbit["broker_transport_options"] == {"confirm_publish": True}
    assert {queue.queue_arguments["x-queue-type"] for queue in rabbit["task_queues"]} == {"quorum"}


@pytest.mark.parametrize(
    "url", ["redis://u:planted@host:1/0", "sentinel://:planted@a,b/prime", "amqp://u:planted@host//?x=planted"]
)
def test_what_people_are_shown_holds_no_password(url):
    assert "planted" not in shown_address(url)
    assert url.split("://")[0] in shown_address(url)


@pytest.mark.parametrize("channel", [GuardedChannel, GuardedSentinelChannel])
@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)])
def test_a_channel_of_a_closed_connection_raises_what_celery_reconnects_after(channel, connection):
    closed = channel.__new__(channel)
    closed.connection = connection
    with pytest.raises(RedisConnectionError):
        closed._connparams()


def test_what_celery_shows_of_a_broker_behind_sentinels_can_be_sent_and_holds_none_of_their_passwords():
    """`inspect stats` and Flower's page of a worker ask for it."""
    address = "sentinel://user:of-redis@127.0.0.1:1,127.0.0.1:2/mymaster/0"
    app = Celery("shown", set_as_current=False, amqp="worker.broker.channel:NamedAmqp")
    app.conf.update(celery_settings(Settings(redis_url=address, sentinel_password="of-sentinels")))
    consumer = SimpleNamespace(connection=app.connection_for_read())
    shown = dumps(ConnectionStep.info(None, consumer))
    assert "mymaster" in shown
    assert "of-sentinels" not in shown
    assert "of-redis" not in shown
