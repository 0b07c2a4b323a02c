"""Everything that is said here comes from settings.ini: setuptools alone reads it, so an isolated build needs no more."""
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

config = ConfigParser(delimiters=['='])
config.read('settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

licenses = {'apache2': 'Apache-2.0', 'mit': 'MIT', 'bsd3': 'BSD-3-Clause'}
statuses = {'1': 'Planning', '2': 'Pre-Alpha', '3': 'Alpha', '4': 'Beta', '5': 'Production/Stable'}
pythons = ['3.10', '3.11', '3.12', '3.13']  # those with a TensorFlow 2.21 wheel
# links and pictures of README.md hold beside it; PyPI shows it elsewhere
source = f"{cfg['git_url']}/{{}}/{cfg['branch']}/"
readme = Path('README.md').read_text(encoding='utf-8')
readme = re.sub(r'(!\[[^\]]*\]\()(nbs/)', r'\1' + source.format('raw') + r'\2', readme)
readme = re.sub(r'\]\((nbs/)', '](' + source.format('blob') + r'\1', readme)
extras = {key.removesuffix('_requirements'): cfg[key].split() for key in cfg if key.endswith('_requirements')}

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme,
    long_description_content_type='text/markdown',
    author=cfg['author'],
    url=cfg['git_url'],
    license=licenses[cfg['license']],
    keywords=cfg['keywords'].split(),
    classifiers=[
        f"Development Status :: {cfg['status']} - {statuses[cfg['status']]}",
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        *(f'Programming Language :: Python :: {o}' for o in pythons),
    ],
    packages=find_packages(include=[cfg['lib_name'], f"{cfg['lib_name']}.*"]),
    package_data={'': ['*.csv', '*.json', '*.js', '*.css', '*.html']},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"],
    },
    zip_safe=False,
)
