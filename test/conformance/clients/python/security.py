"""TLS and SASL, as the words say, for the clients in Python."""
import base64
import json
import logging
import ssl
import time

from common import Unsupported


def wants_tls(task):
    return task.get('security', '').endswith('SSL')


def wants_sasl(task):
    return task.get('security', '').startswith('SASL_')


def token(task):
    """A token of OAUTHBEARER without a signature."""
    def part(what):
        return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b'=').decode()
    now = int(time.time())
    return f'{part({"alg": "none"})}.{part({"sub": task["username"], "iat": now, "exp": now + 3600})}.'


def gap(task):
    """Is waited for after each record, so that they fill the time of the word over."""
    return int(task['over']) / int(task['count'])


def librdkafka(task):
    """Settings of confluent-kafka."""
    if 'handshake' in task:
        raise Unsupported('the version of SaslHandshake')
    if 'security' not in task:
        return {}
    settings = {'security.protocol': task['security'], 'error_cb': give_up}
    if wants_tls(task):
        settings['ssl.ca.location'] = task['ca']
    if wants_sasl(task):
        settings['sasl.mechanism'] = task['mechanism']
        if task['mechanism'] == 'OAUTHBEARER':
            settings['oauth_cb'] = lambda _: (token(task), time.time() + 3600)
        else:
            settings.update({'sasl.username': task['username'], 'sasl.password': task['password']})
    return settings


def give_up(error):
    """Ends what librdkafka would go on with for as long as its records live."""
    from confluent_kafka import KafkaError, KafkaException
    if error.code() == KafkaError._AUTHENTICATION:
        raise KafkaException(error)


def drain(producer, limit):
    """Waits for all records, as flush does, which does not end where a callback has raised an error."""
    end = time.monotonic() + limit
    while len(producer) and time.monotonic() < end:
        producer.poll(0.1)
    return len(producer)


def common(task, provider):
    """Settings that kafka-python and aiokafka have in common. provider is the base of what hands out tokens."""
    if 'security' not in task:
        return {}
    logging.basicConfig(level=logging.WARNING)  # what is wrong with a password stands there alone
    settings = {'security_protocol': task['security']}
    if wants_tls(task):
        settings['ssl_context'] = ssl.create_default_context(cafile=task['ca'])
    if wants_sasl(task):
        settings['sasl_mechanism'] = task['mechanism']
        if task['mechanism'] == 'OAUTHBEARER':
            settings['sasl_oauth_token_provider'] = provider()
        else:
            settings.update(sasl_plain_username=task['username'], sasl_plain_password=task['password'])
    return settings


def kafka_python(task):
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class Provider(AbstractTokenProvider):
        def token(self):
            return token(task)
    settings = common(task, Provider)
    if task.get('handshake') == '0':
        settings['api_version'] = (0, 11)  # the last one before SaslAuthenticate
    return settings


def aiokafka(task):
    from aiokafka.abc import AbstractTokenProvider

    class Provider(AbstractTokenProvider):
        async def token(self):
            return token(task)
    if 'handshake' in task:
        raise Unsupported('the version of SaslHandshake')
    return common(task, Provider)
