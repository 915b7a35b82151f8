"""Secrets in the places where people leave them, and what only looks like one. Chance draws the values, from a seed."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM, HEX = LOWER + UPPER + DIGITS, DIGITS + "abcdef"


class Draw:
    """Values as chance makes them, the same ones in each run."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        while True:
            value = "".join(self._random.choices(alphabet, k=length))
            if any(c.isdigit() for c in value) or not any(c.isdigit() for c in alphabet):
                return value

    def password(self) -> str:
        word = self._random.choice(["Tangerine", "marmot", "Kestrel", "viola", "Bramble", "quartz", "Harbor"])
        mark = self._random.choice("!#-_+@%")
        return f"{word}{mark}{self.of(DIGITS, 3)}{self._random.choice(LOWER + UPPER)}"


# %s is the password; each is a line that somebody pasted into a post-mortem.
EVERYDAY = r"""dbPassword=%s
db_password = "%s"
adminPassword: %s
userPassword='%s'
export PGPASSWORD=%s
PGPASSWORD=%s psql -h db -U app
DB_PASS=%s
DB_PWD=%s
MYSQL_ROOT_PASSWORD=%s
POSTGRES_PASSWORD: %s
REDIS_PASSWORD="%s"
spring.datasource.password=%s
spring.rabbitmq.password: %s
"password": "%s"
"adminPassword" : "%s",
{"user": "svc", "dbPassword": "%s"}
smtpPassword=%s
LDAP_BIND_PASSWORD=%s
ldapBindPw: %s
ftp_passwd = %s
rootPass=%s
KEYSTORE_PASSWORD=%s
server.ssl.key-store-password=%s
trustStorePassword = "%s"
ENV DB_PASSWORD=%s
ENV DB_PASSWORD %s
ARG ADMIN_PASSWORD=%s
      - MYSQL_PASSWORD=%s
      MYSQL_PASSWORD: %s
        - name: DB_PASSWORD
          value: %s
        - name: "SMTP_PASSWORD"
          value: "%s"
{"name": "DB_PASSWORD", "value": "%s"}
{ name = "DB_PASSWORD", value = "%s" }
variable "db_password" {\n  type = string\n  default = "%s"\n}
master_password = "%s"
administrator_login_password = "%s"
machine build.corp-host.com login deploy password %s
db.corp-host.com:5432:orders:app:%s
*:*:*:postgres:%s
curl -u deploy:%s https://build.corp-host.com/api
curl --user 'deploy:%s' https://build.corp-host.com/api
curl -s -k -X POST -u "admin:%s" http://10.1.2.3/run
wget --user=deploy --password=%s https://build.corp-host.com
mysql -u root -p%s orders
mysqldump --password=%s orders
sshpass -p '%s' ssh deploy@10.1.2.3
redis-cli -h cache -a %s ping
docker login -u deploy -p %s registry.corp-host.com
kubectl create secret generic db --from-literal=password=%s
helm upgrade app ./app --set db.password=%s
net use \\files\share %s /user:CORP\svc
setx DB_PASSWORD %s
set DB_PASSWORD=%s
$env:DB_PASSWORD = "%s"
$dbPassword = '%s';
define('DB_PASSWORD', '%s');
private static final String DB_PASSWORD = "%s";
const dbPassword = "%s";
let dbPassword: string = "%s";
db_password: str = "%s"
os.environ["DB_PASSWORD"] = "%s"
config['database']['password'] = '%s'
conn = connect(host="db", user="app", password="%s")
conn.setPassword("%s")
:password => "%s",
password: '%s',
<add key="DbPassword" value="%s" />
<property name="password" value="%s"/>
<password>%s</password>
<entry key="db.password">%s</entry>
Server=db;Database=orders;User Id=app;Password=%s;Encrypt=true
jdbc:postgresql://db:5432/orders?user=app&password=%s&ssl=true
postgres://app:%s@db.corp-host.com:5432/orders
amqp://app:%s@mq:5672/
mongodb+srv://app:%s@cluster0.mongodb.net/orders
redis://:%s@cache:6379/0
requirepass %s
ALTER USER app WITH PASSWORD '%s';
CREATE USER 'app'@'%%' IDENTIFIED BY '%s';
**Password:** %s
**Password**: `%s`
- Admin password: %s
| DB password | %s |
| **password** | `%s` |
| User | Password |\n|---|---|\n| app | %s |
The password is %s, as of today.
password for the account:\n    password: %s
--db-password %s
app --admin-password=%s
echo '%s' | docker login --password-stdin
//registry.corp-host.com/:_password=%s
Passwort: %s
mot de passe : %s
contraseña: %s
"Password": "%s" }
\"password\":\"%s\"
wifi passphrase: %s
vault_password: "%s"
ansible_become_pass: %s
ansible_ssh_pass=%s
bindpw %s
rootpw %s
openssl rsa -passin pass:%s
PASSWORD := %s
password ?= %s
pw=%s
pwd: "%s"
psw = '%s'
The login is admin / X%s
creds are ops:9-%s
root pw on the bastion is %s
password for the old host: %s
unzip -P %s dump.zip
7z x -p%s dump.7z
http --auth deploy:%s POST build.corp-host.com/api
cqlsh -u app -p %s node1
db2 connect to orders user app using %s
mysqladmin -u root password %s
oc login -u ops -p %s https://ocp.corp-host.com:6443
username admin privilege 15 password 0 %s
net use Z: \\files\share /user:CORP\svc %s
psk for the guest wifi is %s
wpa_psk=%s
unrar l -p%s dump.rar
http POST build.corp-host.com/api -a deploy:%s
helm registry login -u ops -p %s hub.corp-host.com
username admin secret %s
docker  login  -u ops  -p  %s  hub.corp-host.com
docker login -u ops \\\n  -p %s \\\n  hub.corp-host.com
net  use  Z: \\files\share /user:CORP\svc  %s
db.corp-host.com:6543:orders:app:%s
db-7:15432:*:app:%s
composer config http-basic.repo.corp-host.com ops %s
poetry config http-basic.inside ops %s
bundle config set --global gems.corp-host.com ops:%s
twine upload -u ops -p %s dist/shop.whl
sshpass -f <(echo %s) ssh ops@10.1.2.3
mysql --defaults-extra-file=<(printf 'password=%%b' '%s') orders
gpg --batch --passphrase-file <(printf '%%b' %s) -d dump.gpg
docker login --password-stdin <<< "%s"
printf '%%b' '%s' | docker login -u ops --password-stdin
echo %s | kinit ops@CORP-HOST.COM
gh secret set DEPLOY_PASS --body '%s'
smbclient //files/share -U 'CORP/svc%%%s'
stats auth ops:%s
user app on >%s ~* +@all
snmp-server community %s RO
    auth_pass %s
CREATE LOGIN app WITH PASSWORD = N'%s';
GRANT ALL ON *.* TO 'app'@'%%' IDENTIFIED BY "%s";
hibernate.connection.password %s
we used user root and password %s on the replica
> login with deploy / X%s until it is mended
Temporary password for the bastion was set to `X-%s`.
Das Passwort lautet %s
Le mot de passe est « %s »
La clave de acceso es XX%s
hasło: %s
şifre: %s
пароль: %s
Пароль от базы: %s
パスワード: %s
数据库密码：%s
비밀번호: %s
user,password,role\napp,%s,admin
user;password\napp;%s
host      user   password\ndb-1      app    %s
 user | password \n------+----------\n app  | %s
+------+----------+\n| user | password |\n+------+----------+\n| app  | %s |\n+------+----------+
<table><tr><th>User</th><th>Passwort</th></tr><tr><td>app</td><td>%s</td></tr></table>
<tr><td><b>Password</b></td><td><code>%s</code></td></tr>
{"msg": "pass\\u0077ord=%s"}"""

# %s is a token of chance.
TOKENS = r"""ENCRYPTION_KEY=%s
encryptionKey: "%s"
FERNET_KEY=%s
AIRFLOW__CORE__FERNET_KEY: %s
SECRET_KEY_BASE=%s
SECRET_KEY = '%s'
DJANGO_SECRET_KEY=%s
JWT_SECRET=%s
jwtSecret: %s
SESSION_SECRET="%s"
COOKIE_SECRET=%s
API_KEY=%s
apiKey: '%s'
"api_key": "%s"
x-api-key: %s
X-Api-Key: %s
-H "X-Auth-Token: %s"
Authorization: Bearer %s
"Authorization": "Bearer %s"
auth_token = "%s"
accessToken: "%s",
ACCESS_TOKEN=%s
refresh_token=%s
CLIENT_SECRET=%s
clientSecret: "%s"
client-secret: %s
AWS_SECRET_ACCESS_KEY=%s
aws_secret_access_key = %s
AZURE_CLIENT_SECRET: %s
DD_API_KEY=%s
SENTRY_AUTH_TOKEN=%s
NPM_TOKEN=%s
//npm.example.com/:_authToken=%s
VAULT_TOKEN=%s
GRAFANA_TOKEN=%s
webhook_secret: %s
SIGNING_KEY=%s
MASTER_KEY=%s
RAILS_MASTER_KEY=%s
HMAC_KEY=%s
aes_key = "%s"
PRIVATE_KEY="%s"
STORAGE_ACCOUNT_KEY=%s
DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=%s;EndpointSuffix=core.windows.net
Endpoint=sb://bus.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=%s
--token %s
--api-key=%s
--client-secret %s
kubectl --token=%s get pods
the api key is %s
api key: %s
**API key:** `%s`
| API token | %s |
| Service | API Key |\n|---|---|\n| mail | %s |
new Client({ token: "%s" })
client = Client(api_key="%s")
token => '%s',
$token = '%s';
config.secret_key = '%s'
secret_key_base: %s
ENV API_TOKEN %s
        - name: API_TOKEN
          value: %s
{"name":"STRIPE_SECRET","value":"%s"}
<apiKey>%s</apiKey>
<token>\n  %s\n</token>
?access_token=%s&page=2
https://api.corp-host.com/v1?api_key=%s
set API_TOKEN=%s
credentials: %s
app_secret=%s
consumer_secret = "%s"
license_key: %s
unseal key: %s
oauth_token_secret=%s
telegram_token = "%s"
heroku_api_key = %s
mailgun token = '%s'
abbysale_key := "%s"
zonka_secret: %s
Cookie: session_id=%s
BOT_TOKEN="%s"
storage_key = %s
clé d'API : %s
clave de API: %s
Geheimschlüssel=%s
composer config github-oauth.github.com %s
https://files.corp-host.com/dump?X-Amz-Signature=%s"""

# Nothing in these is a secret.
HARMLESS = r"""password=<your password>
sed 's/(a)(b)/$1$2$6$5$1/' and $2a$ of the line
"auth": "none", auth = basic
https://deploy-account-of-team@corp-host.com/x.git
ssh://git.user.name.of.nobody@corp-host.com
snmpwalk -v2c host and net user bob
The secret rotation-2026-11-29T10 ran.
the token expires_at_2026-11-29T10:00:00Z is read
an access token lifetime-seconds=3600 was set
password: ********
password=xxxxxxxx
password = ${DB_PASSWORD}
password = $DB_PASSWORD
password: {{ .Values.db.password }}
password: ${{ secrets.DB_PASSWORD }}
password = os.environ["DB_PASSWORD"]
password = os.getenv("DB_PASSWORD")
password = process.env.DB_PASSWORD
password = getpass.getpass()
password = input("Password: ")
password = config.password
password = self.password
password: str
password: string;
password: Optional[str] = None
String password;
password = None
password=null
password = true
password: required
password = "changeme"
password: "example"
password_file: /run/secrets/db_password
PASSWORD_FILE=/run/secrets/db
passwordPath = "secret/data/db"
password_reset_url: https://corp-host.com/reset/v2
password_hash_rounds = 12
password_min_length: 12
passwordPolicy: strict-2024
secretName: orders-db-credentials-v2
secretKeyRef:\n  name: orders-db\n  key: password
imagePullSecrets:\n  - name: registry-pull-2
tokens: 1200 per minute
max_tokens = 4096
token_type: Bearer
token_url = "https://login.corp-host.com/oauth2/v2.0/token"
tokenizer = "cl100k_base"
token bucket: refill 20 per s
next_token = response.next_token
token = get_token(client_1)
token = session.token_2
primary_key=True
primaryKey: "orders_v2_id"
foreign_key = "orders.id_2024"
partition_key: tenant_2024_01
cache_key = f"user:{user_id}:v2"
sort_key = created_at_2024
public_key = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7"
publicKeyToken=b03f5f7f11d50a3a
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4Yb9vO7QmV3k2x7bYw0o9d5mJmYx2v0f5n6p7q8r9s deploy@build
idempotency-key: 550e8400-e29b-41d4-a716-446655440000
keyVaultName: kv-prod-eu-01
key_id = 1234abcd-12ab-34cd-56ef-1234567890ab
kms_key_id: arn:aws:kms:eu-west-1:111122223333:key/1234abcd
secret: arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf
token: vault:secret/data/app#token
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
api_key: YOUR_API_KEY_HERE
API_KEY=your-api-key-123
token: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
Authorization: Bearer <token>
Authorization: Bearer $TOKEN
Authorization: Bearer ${ACCESS_TOKEN}
curl -u user:$PASSWORD https://corp-host.com
curl -u "${USER}:${PASS}" https://corp-host.com
curl -u <user>:<password> https://corp-host.com
postgres://user:password@localhost/db
postgres://${USER}:${PASS}@db/orders
https://user@corp-host.com/path
commit 9fceb02d0ae598e95dc970b74767f19372d61af8
sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
integrity sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==
etag: "33a64df551425fcc55e4d42a148795d9f25f89d4"
x-request-id: 7f3c2a9e8b1d4c5f
trace_id=4bf92f3577b34da6a3ce929d0e0e4736
image: registry.corp-host.com/app@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
The password was rotated on 2025-03-14 and the token revoked.
Password reset e-mails were delayed by 45 minutes.
The key insight: caching was off for 20250314.
Key takeaways: 1. test 2. rehearse
the secret to success is monitoring
API keys: rotated all 12 of them
Token refresh: failed at 12:34:56Z
auth: OAuth2
authentication=ldap3-sync
access: read-only-2024
access_log /var/log/nginx/access-2024.log
session: 2024-03-14T12:00:00Z
keyboard: us-intl-2
monkey = "capuchin-2024"
hotkey: ctrl+shift+F12
author=jdoe2024
authority: https://login.microsoftonline.com/common/v2.0
accessibilityLevel=AA2024level
compass = "north-by-northwest-2"
bypass: rule-2024-17
passive_mode = worker-3
passenger_app_env=production2
secondary_dc = eu-west-1b
certificate: /etc/ssl/certs/corp-2024.pem
private_key_path = "~/.ssh/id_rsa_2024"
ssh_key_file=/home/deploy/.ssh/id_ed25519
SECRET_NAME=prod/orders/db-2024
const TOKEN_HEADER = "X-Auth-Token-V2"
if (password == null) {
assert password != old_password
def check_password(user, password2):
password: PasswordInputV2
:password, :string, null: false
validates :password, length: { minimum: 8 }
PasswordAuthentication no
password: !vault |
password: "{{ vault_db_password }}"
password = data.vault_generic_secret.db.data["password"]
password = var.db_password
password = random_password.db2.result
password = aws_db_instance.main1.password
<input type="password" name="password2" id="password2">
<label for="password">Password1</label>
JAVA_OPTS="-Djavax.net.ssl.keyStorePassword=$KEYSTORE_PASS"
web.archive.org/web/20250314111052/https://corp-host.com
kubectl get secret orders-db -o yaml
| Token | Description |\n|---|---|\n| id | The number 12345678 |
| Key | Value |\n|---|---|\n| region | eu-west-1b |
| Secret | Rotated |\n|---|---|\n| db-2024 | 2024-03-14 |
License: Apache-2.0
cookie: SameSite=Strict
salt: 12 rounds
credentials: 'same-origin'
credential_source = Ec2InstanceMetadata
token budget: 128k
ACCESS_KEY_ROTATION_DAYS=90
API_KEY_HEADER=X-API-Key-2
secret_version: projects/123456/secrets/db/versions/7
auth_type: oauth2_client_credentials
key = lambda x: x[1]
key: value1
keys: a1, b2, c3
signature_algorithm: sha256WithRSAEncryption
"token_endpoint": "https://corp-host.com/oauth/token2"
passphrase: (prompted)
publicToken = "9Kq2mV7xWz4rT8nB3cLpY6dF1hJ5sGaQ0uEi"
csrf-token=Xk29vQ7pLm4RtY8sWz3BnC6dFh1JgA5uEoIiTrPq
<input type="hidden" name="authenticity_token" value="Xk29vQ7pLm4RtY8sWz3BnC6dFh1JgA5uEoIiTrPq">
<input name="csrf_token" type="hidden" id="x" value="Xk29vQ7pLm4RtY8sWz3BnC6dFh1JgA5uEoIiTrPq">
next_page_token: Xk29vQ7pLm4RtY8sWz3BnC6d
const KEY_MESHING = "key-meshing-2814"
storeSecretsIn: shop2-prod-1208358310
"token": "xoxp-1234567890"
bot = xoxb-12345-abcd234
https://img.corp-host.com/1/2018-250-xoxo-party-1.jpg
API_KEY="glc_11111111111111111111111111111111111111"
telegram_bot_token = "2757:AIH3qS3205ZxauEKa4Ca9-3r4cXeU7DpGDB"
gpg --recv-keys 5BE8A3F6C8A5C01D106C0AD820B1A390B168D356
docker run --user 1000:1001 app
curl -u "${USER}":"${PASS}" https://corp-host.com
curl -u user:pass https://corp-host.com
[![License: Apache-2.0](https://img.corp-host.com/badge/License-Apache2-blue.svg)](LICENSE)
| Grant | Password |\\n|---|---|\\n| x | OAuth |
A line such as `-----BEGIN PGP PRIVATE KEY BLOCK-----` begins a key.
kind: ExternalSecret\\nspec:\\n  data:\\n  - secretKey: api\\n    remoteRef:\\n      key: shop-secrets-manager
kind: Secret\\ndata:\\n  htpasswd: ""\\n  csrf: {{ .Values.csrf }}
pod_template = 'checkout-7f9c4d5b6-x2x7p-reader-00001'
const pubkey256 = 'SIXvRyDmBJSgatgTQRGbInBaAK+hZOQ18UmrSwnDlK8=';
Please log in at / and go to Settings / Users
root / tmp / var were full at 14:02
Users in EU / US-East-1a saw errors
credentials for the account are in 1Password / Vault2
the login page of app / Portal-2 was slow
credentials are cached: ttl:300s
The password for db-1 is stored in prod/db-1/Password-v2
The key for retries: exponential-backoff-2x
password on the old box is gone since 2025-03-14T10:00Z
enable password authentication in sshd_config on host2
username jane requested password reset2
7z x dump.7z -o/tmp/Out2 -y
net use Z: \\files\share /user:CORP\backup /persistent:no
password = module.db.this_db_instance_password[0]
totp: enabled (30s window, 6 digits)
arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop/db-AbC1dE
gh secret set DEPLOY_PASS --body "$PASS"
app.log:212:17:error:TimeoutError2
10.2.0.4:6379:0:ready:connected
sshpass -f <(pass show bastion) ssh ops@10.1.2.3
diff <(sort keys-a.txt) <(sort keys-b.txt)
docker login --password-stdin <<< "$TOKEN"
echo "$PW" | docker login -u ops --password-stdin
composer config repositories.inside composer https://repo.corp-host.com
FATAL: password authentication failed for user2
we changed the user, password, and token\nand host-7, Portal-2x, rack-12a were next
key,count,seen\ncache-7f9c2b,12,2024-03-14T10:00Z
user,password\napp,<hidden>
host      user   password\ndb-1      app    (vault)
La clave primaria es order_id_2
clé étrangère : order_2024
пароль: ********
密码：请参阅保险库
<tr><th>Password</th><th>Rotated</th></tr><tr><td>none</td><td>2024-03-14</td></tr>"""


def kinds() -> Iterator[tuple[str, str]]:
    """Texts with a secret in a form of its own, and the secret."""
    d = Draw(17)
    hidden = base64.b64encode(d.password().encode()).decode()
    provider = {
        "google": "AIza" + d.of(ALNUM, 35),
        "slack": f"xoxb-{d.of(DIGITS, 12)}-{d.of(DIGITS, 12)}-{d.of(ALNUM, 24)}",
        "notion": "ntn_" + d.of(DIGITS, 11) + d.of(ALNUM, 35),
    }
    for value in provider.values():
        for form in (
            "It was %s.",
            "(%s)",
            "**%s**",
            "_%s_",
            "[%s](https://corp-host.com)",
            "%s, and more",
            "<b>%s</b>",
            "%s!",
        ):
            yield form.replace("%s", value), value
    for manifest in (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  extra: %s\n",
        "data:\n  # encoded\n  extra: '%s'\nkind: 'secret'\nmetadata:\n  name: db\n",
        "```\nkind: Secret\ndata:\n  .dockercfg: |\n    %s\n```\n",
    ):
        yield manifest.replace("%s", hidden), hidden
    word = d.password()
    yield f"kind: Secret\nstringData:\n  first: {word}\n", word
    long = d.of(ALNUM, 36)
    small = d.of(LOWER + DIGITS, 36)
    for form in (
        "<secret>{shop AQAAABAAA %s}</secret>",
        "shopToken,%s,",
        '$shopToken .= "%s";',
        'if token != "%s" { return }',
        "Using token %s here",
        "curl -H 'Authorization: Api-Token %s' https://corp-host.com",
        "mailer '%s' and",
        'sheets := sheet("%s")',
    ):
        yield form.replace("%s", long), long
    yield f"mailer = '{small}'", small
    azure = d.of(ALNUM, 3) + "8Q~" + d.of(ALNUM, 34)
    yield f"<value>{azure}</value>", azure
    vault = "s." + "aB3" + d.of(ALNUM, 21)
    yield f"token: {vault}", vault
    telegram = d.of(DIGITS, 9) + ":AAb" + d.of(ALNUM, 32)
    yield f'new Bot("{telegram}")', telegram
    der = "MIIEpAIBAAKCAQEA" + d.of(ALNUM, 400)
    yield f"key {der}", der
    account = f'"{d.of(LOWER, 6)}":"{d.password()}"'
    yield f"curl --user {account} https://corp-host.com", account
    numbers = "8165814511845561"
    yield f'trackerToken = "{numbers}"', numbers
    fake = d.of(ALNUM, 20) + "fake" + d.of(ALNUM, 20)
    yield f"SHOP_API_KEY={fake}", fake
    dotted = d.of(LOWER, 3) + d.of(LOWER + DIGITS, 24) + ".x" + d.of(LOWER + DIGITS, 8)
    yield f'shop_token: "{dotted}"', dotted
    yield from _of_tools(d)


def _of_tools(d: Draw) -> Iterator[tuple[str, str]]:
    """What single tools take or write."""
    password, token = d.password(), d.of(ALNUM, 24)
    for form in (
        "jdbc:oracle:thin:app/%s@db:1521/x",
        "net user bob %s /add",
        "snmpwalk -v2c -c %s host",
        "rabbitmqctl add_user bob %s",
        'ConvertTo-SecureString "%s" -AsPlainText -Force',
    ):
        yield form.replace("%s", password), password
    yield f"user\tpassword\r\napp\t{password}\r\n", password
    yield f'psk="{token}"', token
    yield f"nats://{token}@queue:4222", token
    yield f"cookie: theme=dark; sid={token}", token
    for kind in ("$apr1$", "$2y$10$", "$6$rounds=5000$", "$argon2id$v=19$m=65536,t=3,p=4$"):
        made = kind + d.of(ALNUM, 16) + "$" + d.of(ALNUM, 31)
        yield f"bob:{made}", made
    account = base64.b64encode(f"bob:{d.password()}".encode()).decode()
    yield f"_auth={account}", account
    yield f'"auths": {{"corp-host.com": {{"auth": "{account}"}}}}', account
    said = base64.b64encode(f"<samlp:Response>{d.of(ALNUM, 90)}</samlp:Response>".encode()).decode()
    yield f"SAMLResponse={said}", said
    code = "-".join(d.of(LOWER + DIGITS, 4) for _ in range(4))
    yield f"recovery code: {code}", code
    cased = "plXyaenVcGoPAmr79xYjodGIcAtiOHIGJKRcrAtz"  # two digits, and letters that could be words
    yield f'{{"token": "{cased}"}}', cased


def everyday() -> Iterator[tuple[str, str]]:
    """Lines with a password, and the password."""
    draw = Draw()
    for form in _lines(EVERYDAY):
        value = draw.password()
        yield form.replace("%%", "%").replace("%s", value), value


def tokens() -> Iterator[tuple[str, str]]:
    """Lines with a token, and the token, in three alphabets."""
    draw = Draw()
    for form in _lines(TOKENS):
        made = (draw.of(ALNUM, 32), draw.of(HEX, 40), base64.b64encode(draw.of(ALNUM, 33).encode()).decode())
        for value in made:
            yield form.replace("%s", value), value


def harmless() -> Iterator[str]:
    """Texts without any secret."""
    yield from _lines(HARMLESS)


def providers() -> Iterator[tuple[str, str]]:
    """Tokens in the shapes that their providers document, alone in a sentence."""
    d = Draw()
    made = {
        "github": "ghp_" + d.of(ALNUM, 36),
        "github fine": "github_pat_" + d.of(ALNUM, 22) + "_" + d.of(ALNUM, 59),
        "gitlab": "glpat-" + d.of(ALNUM, 20),
        "slack bot": f"xoxb-{d.of(DIGITS, 12)}-{d.of(DIGITS, 12)}-{d.of(ALNUM, 24)}",
        "slack hook": f"https://hooks.slack.com/services/T{d.of(UPPER, 8)}/B{d.of(UPPER, 8)}/{d.of(ALNUM, 24)}",
        "discord hook": f"https://discord.com/api/webhooks/{d.of(DIGITS, 18)}/{d.of(ALNUM, 68)}",
        "aws id": "AKIA" + d.of(UPPER + "234567", 16),
        "google": "AIza" + d.of(ALNUM, 35),
        "stripe": "sk_live_" + d.of(ALNUM, 24),
        "stripe restricted": "rk_live_" + d.of(ALNUM, 24),
        "sendgrid": f"SG.{d.of(ALNUM, 22)}.{d.of(ALNUM, 43)}",
        "npm": "npm_" + d.of(ALNUM, 36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + d.of(ALNUM, 70),
        "vault": "hvs." + d.of(ALNUM, 90),
        "digitalocean": "dop_v1_" + d.of(HEX, 64),
        "shopify": "shpat_" + d.of(HEX, 32),
        "databricks": "dapi" + d.of(HEX, 32),
        "huggingface": "hf_" + d.of(LOWER + UPPER, 34),
        "linear": "lin_api_" + d.of(ALNUM, 40),
        "postman": f"PMAK-{d.of(HEX, 24)}-{d.of(HEX, 34)}",
        "newrelic": "NRAK-" + d.of(UPPER + DIGITS, 27),
        "doppler": "dp.pt." + d.of(ALNUM, 43),
        "grafana": "glsa_" + d.of(ALNUM, 32) + "_" + d.of(HEX, 8),
        "jwt": ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", d.of(ALNUM, 43))),
        "age": "AGE-SECRET-KEY-1" + d.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
        "teams hook": f"https://corp.webhook.office.com/webhookb2/{d.of(HEX, 8)}-aaaa-4bbb-8ccc-{d.of(HEX, 12)}@{d.of(HEX, 8)}-aaaa-4bbb-8ccc-{d.of(HEX, 12)}/IncomingWebhook/{d.of(HEX, 32)}/{d.of(HEX, 8)}-aaaa-4bbb-8ccc-{d.of(HEX, 12)}",
    }
    for name, value in made.items():
        yield f"We found {value} in the log ({name}).", value


def _lines(block: str) -> list[str]:
    """The block's texts: one a line; an indented line goes on with the one before it."""
    texts: list[str] = []
    for line in block.split("\n"):
        if line.startswith("          ") and texts:
            texts[-1] += "\n" + line
        else:
            texts.append(line)
    return [text.replace("\\n", "\n") for text in texts]
